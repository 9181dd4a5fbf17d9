// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/status.hpp"
#include "base/address.hpp"
#include "cli/cluster_key.hpp"
#include "cli/command.hpp"
#include "cli/ipam.hpp"
#include "cli/netns.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <weave/client.hpp>
#include <weave/error.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace weave::cli {

namespace {

/** For commands that say nothing where all is well. */
void show_result(const Options& options, const Client& client) {
    if (options.json()) {
        print(api::json_text(nlohmann::json::parse(client.last_result())));
    }
}

template <class T>
void show(const Options& options, const T& value, std::string (*text)(const T&)) {
    print(options.json() ? api::json_text(value) : text(value));
}

void status(const Options& options) {
    Client client = connect(options);
    if (options.what == "connections") {
        show(options, client.connections(), api::render_connections);
    } else if (options.what == "peers") {
        show(options, client.peers(), api::render_peers);
    } else if (options.what == "targets") {
        show(options, client.targets(), api::render_targets);
    } else if (options.what == "drops") {
        show(options, client.drops(), api::render_drops);
    } else if (options.what == "attachments") {
        show(options, client.attachments(), api::render_attachments);
    } else {
        show(options, client.status(), api::render_status);
    }
}

/** Refused here with the word that is wrong, before anything is asked of the daemon. */
void check_addresses(const std::vector<std::string>& addresses) {
    for (const std::string& text : addresses) {
        const bool request = text.starts_with("net:") || text.starts_with("ip:") || text == "none";
        if (!request && (text.find('/') == std::string::npos || !Prefix::parse(text))) {
            throw Error(Errc::invalid,
                        "'" + text +
                            "' is not an address with a prefix length, such as 10.32.0.5/12");
        }
    }
}

/** What is gone already is as it was to be: said, and no failure. */
template <class Call>
void show_result_or_gone(const Options& options, const Client& client, Call call) {
    try {
        call();
    } catch (const Error& error) {
        if (error.code() != Errc::not_found) {
            throw;
        }
        print(options.json() ? api::json_text(nlohmann::json{{"notice", error.what()}})
                             : std::string{error.what()} + '\n');
        return;
    }
    show_result(options, client);
}

void attach(const Options& options) {
    check_addresses(options.addresses);
    const api::Descriptor netns = open_netns(options.netns);
    AttachRequest request;
    request.ifname = options.ifname;
    request.addresses = options.addresses;
    request.mode = options.mode;
    const AttachmentRow row = connect_patiently(options).attach(netns.get(), request);
    if (options.json()) {
        print(api::json_text(row));
        return;
    }
    for (const std::string& address : row.addresses) {
        print(address + "\n");
    }
}

void detach(const Options& options, bool every) {
    const api::Descriptor netns = open_netns(options.netns);
    Client client = connect(options);
    show_result_or_gone(
        options, client, [&] { client.detach(netns.get(), every ? "" : options.ifname); });
}

void connect_peers(const Options& options) {
    Client client = connect(options);
    client.connect_peers(options.peers, options.replace);
    show_result(options, client);
}

void forget(const Options& options) {
    Client client = connect(options);
    client.forget(options.peers);
    show_result(options, client);
}

void expose(const Options& options) {
    check_addresses(options.addresses);
    Client client = connect_patiently(options);
    const nlohmann::json params{{"addresses", options.addresses}, {"own", options.own}};
    const auto answer = nlohmann::json::parse(client.call("expose", params.dump()));
    if (options.json()) {
        print(api::json_text(answer));
        return;
    }
    for (const std::string& address : answer.at("addresses").get<std::vector<std::string>>()) {
        print(address + "\n");
    }
}

void hide(const Options& options) {
    check_addresses(options.addresses);
    Client client = connect(options);
    show_result_or_gone(options, client, [&] { client.hide(options.addresses); });
}

void genkey(const Options& options) {
    const std::string text = new_cluster_file();
    if (options.key_file.empty()) {
        print(text);
    } else {
        write_secret_file(options.key_file, text);
        if (options.json()) {
            print(api::json_text(nlohmann::json{{"file", options.key_file}}));
        }
    }
}

/** Both versions, the second only where a daemon runs: this one must not fail without it. */
void version(const Options& options) {
    nlohmann::json out{{"weavectl", library_version()}, {"weaved", nullptr}};
    std::error_code error;
    Client client = Client::connect(options.socket_path(), error);
    if (!error) {
        client.set_timeout(5000);
        const std::string daemon = client.version(error);
        if (!error) {
            out["weaved"] = daemon;
        }
    }
    if (options.json()) {
        print(api::json_text(out));
        return;
    }
    print(std::string("weavectl ") + library_version() + "\n");
    print("weaved " +
          (out["weaved"].is_null() ? std::string("-") : out["weaved"].get<std::string>()) + "\n");
}

/** For values that are words of a list. */
CLI::Validator one_of(std::vector<std::string> words) {
    std::string list;
    for (const std::string& word : words) {
        list += (list.empty() ? "" : ", ") + word;
    }
    return {[words = std::move(words), list](std::string& given) {
                const bool known = std::find(words.begin(), words.end(), given) != words.end();
                return known ? std::string{} : "'" + given + "' is none of " + list;
            },
            ""};
}

void add_peer_commands(CLI::App& app, Options& options, Action& action) {
    auto* status_command = app.add_subcommand("status", "Show the node, or one of its lists");
    status_command->add_option("WHAT", options.what, "Which list; without it a summary")
        ->check(one_of({"connections", "peers", "targets", "drops", "attachments"}));
    status_command->callback([&] { action = [&] { status(options); }; });

    auto* connect_command = app.add_subcommand("connect", "Connect to more peers");
    connect_command->add_flag("--replace", options.replace, "Forget all other targets");
    connect_command->add_option("PEER", options.peers, "ADDR, ADDR:PORT, [V6]:PORT or HOST")
        ->required();
    connect_command->callback([&] { action = [&] { connect_peers(options); }; });

    auto* forget_command = app.add_subcommand("forget", "Stop connecting to peers");
    forget_command->add_option("PEER", options.peers, "As given to connect")->required();
    forget_command->callback([&] { action = [&] { forget(options); }; });
}

void add_pod_commands(CLI::App& app, Options& options, Action& action) {
    const char* const netns_help = "A pid, a name of 'ip netns list', or a path";
    const char* const address_help =
        "ADDR/LEN, net:SUBNET, net:default or ip:ADDR, any number of them; without one an address "
        "of the default subnet";
    auto* attach_command =
        app.add_subcommand("attach", "Put an interface into a network namespace");
    attach_command->add_option("NETNS", options.netns, netns_help)->required();
    attach_command->add_option(
        "ADDRESS", options.addresses, std::string(address_help) + "; 'none' alone: no address");
    attach_command->add_option("--ifname", options.ifname, "Its name in there")
        ->capture_default_str();
    attach_command
        ->add_option("--mode",
                     options.mode,
                     "bridge: on one flat network with others; routed: behind the host")
        ->check(one_of({"bridge", "routed"}))
        ->capture_default_str();
    attach_command->callback([&] { action = [&] { attach(options); }; });

    auto* detach_command =
        app.add_subcommand("detach", "Take our interfaces out of a network namespace");
    detach_command->add_option("NETNS", options.netns, netns_help)->required();
    auto* one = detach_command->add_option("--ifname", options.ifname, "Only this one");
    detach_command->callback(
        [&, one] { action = [&, one] { detach(options, /*every=*/one->count() == 0); }; });

    auto* expose_command =
        app.add_subcommand("expose", "Give this host addresses on the pod network");
    expose_command->add_option("ADDRESS", options.addresses, address_help);
    expose_command->add_flag("--own", options.own, "The host's own, beside routed pods");
    expose_command->callback([&] { action = [&] { expose(options); }; });

    auto* hide_command = app.add_subcommand("hide", "Take them away again");
    hide_command->add_option("ADDRESS", options.addresses, "ADDR/LEN; without one all");
    hide_command->callback([&] { action = [&] { hide(options); }; });
}

void add_other_commands(CLI::App& app, Options& options, Action& action) {
    app.add_subcommand("report", "Print everything about the node as JSON")->callback([&] {
        action = [&] { print(connect(options).report()); };
    });
    auto* genkey_command = app.add_subcommand("genkey", "Make a new cluster file");
    genkey_command->add_option(
        "FILE", options.key_file, "Where to write it, mode 0600; without it the standard output");
    genkey_command->callback([&] { action = [&] { genkey(options); }; });
    app.add_subcommand("version", "Print the versions")->callback([&] {
        action = [&] { version(options); };
    });
}

void fail(const Options& options, const std::string& code, const std::string& sentence) {
    if (options.json()) {
        const nlohmann::ordered_json out{{"error", code}, {"message", sentence}};
        const std::string text =
            out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
        std::fprintf(stderr, "%s\n", text.c_str());
    } else {
        std::fprintf(stderr, "weavectl: %s\n", sentence.c_str());
    }
}

/** What is wrong with the command line, in words of ours where those of CLI11 name no word. */
std::string usage_sentence(const CLI::App& app, const CLI::ParseError& error) {
    std::string help = "weavectl";
    for (const CLI::App* command : app.get_subcommands()) {
        help += ' ' + command->get_name();
    }
    const bool commanded = !app.get_subcommands().empty();
    const auto unexpected = app.remaining(/*recurse=*/true);
    std::string what = error.what();
    if (!unexpected.empty()) {
        const std::string& word = unexpected.front();
        what = "'" + word + "' is not " +
               (word.starts_with('-') ? "an option"
                : commanded           ? "expected"
                                      : "a command");
    } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
        const auto end = what.find(" is required");
        what = (commanded ? what.substr(0, end) : "a command") + " is missing";
    } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
        const bool twice = what.find("At Most") != std::string::npos;
        what = what.substr(0, what.find(':')) +
               (twice ? " is given more than once" : " needs a value");
    }
    return what + ": see '" + help + " --help'";
}

int run(int argc, const char* const* argv) {
    Options options;
    Action action;
    CLI::App app("Control the weavemesh router of this host.", "weavectl");
    app.add_option("--run-dir", options.run_dir, "Where weaved keeps its socket")
        ->envname("WEAVE_RUN_DIR")
        ->capture_default_str();
    app.add_option("--state-dir",
                   options.state_dir,
                   "Not read; taken so that the folders of an instance go with any program")
        ->envname("WEAVE_STATE_DIR")
        ->capture_default_str();
    app.add_option("--socket", options.socket, "The control socket (default: RUN-DIR/weave.sock)");
    app.add_option("-o,--output", options.output, "text or json")
        ->check(one_of({"text", "json"}))
        ->capture_default_str();
    app.set_version_flag("--version", std::string("weavectl ") + library_version());
    app.require_subcommand(1);
    app.fallthrough(); // the options above may also follow the command
    add_peer_commands(app, options, action);
    add_pod_commands(app, options, action);
    add_ipam_commands(app, options, action);
    add_other_commands(app, options, action);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) { // --help, --version
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        fail(options, "usage", usage_sentence(app, error));
        return 2;
    }
    try {
        action();
    } catch (const Error& error) {
        fail(options, error_name(static_cast<Errc>(error.code().value())), error.what());
        return 1;
    } catch (const std::exception& error) {
        fail(options, error_name(Errc::system), error.what());
        return 1;
    }
    return 0;
}

} // namespace
} // namespace weave::cli

int main(int argc, char** argv) {
    return weave::cli::run(argc, argv);
}
