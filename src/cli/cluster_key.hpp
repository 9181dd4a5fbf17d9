// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace weave::cli {

/** A new cluster file: a random id and one random secret, as JSON. Throws std::system_error. */
std::string new_cluster_file();

/** Writes a file that only its owner reads (0600); throws where it exists already. */
void write_secret_file(const std::string& path, const std::string& text);

} // namespace weave::cli
