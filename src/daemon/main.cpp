// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/removal.hpp"
#include "crypto/init.hpp"
#include "daemon/address_plan.hpp"
#include "daemon/cluster_file.hpp"
#include "daemon/descriptor_holder.hpp"
#include "daemon/log.hpp"
#include "daemon/options.hpp"
#include "daemon/router.hpp"
#include "daemon/takeover.hpp"
#include "os/notify.hpp"
#include "os/privileges.hpp"
#include "os/program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <csignal>
#include <cstdio>
#include <memory>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace weave::daemon {
namespace {

log::Level level_of(const std::string& text) {
    if (text == "debug") {
        return log::Level::debug;
    }
    if (text == "info") {
        return log::Level::info;
    }
    if (text == "warning") {
        return log::Level::warning;
    }
    return log::Level::error; // parse_command_line() lets no other word through
}

/** Keys live in this process: no core file, no reading of its memory by other processes of the
 * user. */
void protect_memory() {
    const rlimit none{0, 0};
    std::ignore = ::setrlimit(RLIMIT_CORE, &none);
    std::ignore = ::prctl(PR_SET_DUMPABLE, 0);
}

/** Each such signal starts this program again, as it is on the disk now, to take over. */
void replace_on(boost::asio::signal_set& reloads, int argc, char** argv) {
    reloads.async_wait([&reloads, argc, argv](boost::system::error_code error, int) {
        if (error) {
            return;
        }
        std::vector<std::string> again(argv, argv + argc);
        std::erase(again, "--takeover");
        again.emplace_back("--takeover");
        try {
            os::start_detached(again);
        } catch (const std::system_error& failed) {
            log::error("event=successor_not_started reason={}", log::quoted(failed.what()));
        }
        replace_on(reloads, argc, argv);
    });
}

std::unique_ptr<Predecessor> find_predecessor(const Options& options) {
    return std::make_unique<Predecessor>(
        options.run_dir,
        handover_fit(options, read_cluster_file(cluster_path(options)), lane_count(options)));
}

/** Called by a weaved, never by a person: see descriptor_holder.hpp. */
int hold() {
    // It must outlive whatever ends its router, and can do nothing but keep descriptors open.
    ::setsid();
    std::ignore = ::prctl(PR_SET_NAME, "weave-holder");
    protect_memory();
    os::give_up_capabilities();
    return run_descriptor_holder(STDIN_FILENO);
}

/** Until a signal ends it: false. True when somebody removed the TAP device, and it was there long
 * enough to be made anew. */
bool route(const Options& options,
           std::unique_ptr<Predecessor> predecessor,
           unsigned taps_lost,
           int argc,
           char** argv) {
    constexpr auto kLongEnough = std::chrono::seconds(5);
    const TimePoint started = Clock::now();
    boost::asio::io_context io{1};
    boost::asio::signal_set signals{io, SIGINT, SIGTERM};
    boost::asio::signal_set reloads{io, SIGHUP};
    Router router{io, options, std::move(predecessor), taps_lost};
    os::notify_manager(fmt::format("READY=1\nMAINPID={}", ::getpid()));
    replace_on(reloads, argc, argv);
    signals.async_wait([&](boost::system::error_code, int) {
        os::notify_manager("STOPPING=1");
        log::info("event=stopping");
        io.stop();
    });
    io.run();
    if (router.lost_tap() && Clock::now() - started >= kLongEnough) {
        log::error("event=tap_removed interface={} remedy=\"it is made anew\"", options.tap);
        return true;
    }
    if (!router.failure().empty()) {
        throw ConfigError(router.failure());
    }
    return false;
}

int run(int argc, char** argv) {
    if (argc > 1 && std::string_view{argv[1]} == kHolderArgument) {
        return hold();
    }
    CommandLine line;
    try {
        line = parse_command_line(argc, argv);
        if (!line.cluster_file_to_check.empty()) {
            crypto::init();
            read_cluster_file(line.cluster_file_to_check);
            return 0;
        }
    } catch (const ConfigError& error) {
        std::fprintf(stderr, "weaved: %s\n", error.what());
        return 2;
    }
    if (line.exit_now) {
        return line.exit_code;
    }
    if (line.only_check_range) {
        crypto::init();
        refuse_overlap(line.options);
        return 0;
    }
    if (line.remove_firewall) {
        attach::remove_firewalls(line.options.bridge);
        return 0;
    }
    log::init(level_of(line.options.log_level));
    protect_memory();
    crypto::init();
    std::signal(SIGPIPE, SIG_IGN);
    std::unique_ptr<Predecessor> predecessor =
        line.takeover ? find_predecessor(line.options) : nullptr;
    unsigned taps_lost = 0;
    while (route(line.options, std::move(predecessor), taps_lost, argc, argv)) {
        ++taps_lost;
    }
    return 0;
}

} // namespace
} // namespace weave::daemon

int main(int argc, char** argv) {
    try {
        return weave::daemon::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "weaved: %s\n", error.what());
        return 1;
    }
}
