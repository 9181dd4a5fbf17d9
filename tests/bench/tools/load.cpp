// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/load.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

namespace {

using weave::IpAddress;
using namespace weave::bench;

IpAddress parse(const std::string& text) {
    const auto address = IpAddress::parse(text);
    if (!address || !address->is_v4()) {
        throw CLI::ValidationError("'" + text + "' is no IPv4 address");
    }
    return *address;
}

/** CLI11 has no reader for durations. */
CLI::Option* add_seconds(CLI::App* app, const std::string& name, Seconds& value, const char* help) {
    return app->add_option_function<double>(
        name, [&value](double given) { value = Seconds{given}; }, help);
}

void add_ping(CLI::App& app, PingSettings& settings) {
    CLI::App* verb = app.add_subcommand("ping", "ICMP echo requests at a steady pace");
    verb->add_option_function<std::string>(
            "address", [&](const std::string& text) { settings.address = parse(text); })
        ->required();
    verb->add_option("--rate", settings.per_second, "requests a second")
        ->check(CLI::Range(1.0, 100'000.0));
    add_seconds(verb, "--seconds", settings.seconds, "how long");
    verb->add_option("--output", settings.output, "file for number, sent and answered")->required();
    verb->callback([&] { ping(settings); });
}

void add_ask(CLI::App& app, AskSettings& settings) {
    CLI::App* verb = app.add_subcommand("ask", "UDP requests, each when the last was answered");
    verb->add_option("port", settings.port)->required();
    verb->add_option_function<std::vector<std::string>>("addresses",
                                                        [&](const std::vector<std::string>& texts) {
                                                            for (const std::string& text : texts) {
                                                                settings.addresses.push_back(
                                                                    parse(text));
                                                            }
                                                        })
        ->required();
    verb->add_option("--bytes", settings.bytes, "of a request")->check(CLI::Range(8, 65'000));
    add_seconds(verb, "--seconds", settings.seconds, "how long");
    add_seconds(verb, "--pause", settings.pause, "seconds between an answer and the next request");
    verb->add_option("--output", settings.output, "file for the microseconds of each")->required();
    verb->callback([&] { ask(settings); });
}

void add_rate(CLI::App& app, RateSettings& settings) {
    CLI::App* sender = app.add_subcommand("flood", "UDP datagrams as fast as possible");
    sender
        ->add_option_function<std::string>(
            "address", [&](const std::string& text) { settings.address = parse(text); })
        ->required();
    sender->add_option("port", settings.port)->required();
    sender->add_option("--bytes", settings.bytes, "of a datagram")->check(CLI::Range(1, 65'000));
    add_seconds(sender, "--seconds", settings.seconds, "how long");
    sender->callback([&] { flood(settings); });

    CLI::App* receiver = app.add_subcommand("sink", "counts UDP datagrams");
    receiver->add_option("port", settings.port)->required();
    add_seconds(receiver, "--seconds", settings.seconds, "how long to count");
    add_seconds(receiver, "--warm-up", settings.warm_up, "seconds before that");
    receiver->callback([&] { sink(settings); });
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Makes traffic inside a benchmark's pods and says what came of it"};
    app.require_subcommand(1);
    PingSettings pings;
    AskSettings asks;
    RateSettings rates;
    std::uint16_t port = 0;
    add_ping(app, pings);
    add_ask(app, asks);
    add_rate(app, rates);
    CLI::App* verb = app.add_subcommand("answer", "sends back what comes by UDP");
    verb->add_option("port", port)->required();
    verb->callback([&] { answer(port); });
    try {
        end_when_told();
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "load: %s\n", error.what());
        return 1;
    }
    return 0;
}
