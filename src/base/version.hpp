// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The build defines it; a tool that reads one file alone does without.
#ifndef WEAVE_VERSION
#define WEAVE_VERSION "unknown"
#endif
