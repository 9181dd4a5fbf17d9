// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// clang-format off
// One option a line. No include guard: a list, read several times with WEAVE_OPTION defined differently.
//
// Every option of weaved, declared once: the struct, the flag, the environment variable, --help, the man
// page and the reference page in docs/ come from here.
//
//           field            type                      default        flag                 environment               value       help
WEAVE_OPTION(name,            std::string,              {},            "--name",            "WEAVE_NAME",             "NAME",     "Name of this node, a label for people; the host name if not given.")
WEAVE_OPTION(strict_names,    bool,                     false,         "--strict-names",    "WEAVE_STRICT_NAMES",     "",         "Refuse to run under a name that another node of the mesh has; without it both run, one shown as NAME~FINGERPRINT.")
WEAVE_OPTION(run_dir,         std::string,              "/run/weave",  "--run-dir",         "WEAVE_RUN_DIR",          "DIR",      "Folder for the control socket, log and pid file.")
WEAVE_OPTION(state_dir,       std::string,              "/var/lib/weave", "--state-dir",    "WEAVE_STATE_DIR",        "DIR",      "Folder for the identity, the boot epoch, targets and exposed addresses; locked by one instance.")
WEAVE_OPTION(cluster_file,    std::string,              {},            "--cluster-file",    "WEAVE_CLUSTER_FILE",     "FILE",     "Cluster id and secrets (mode 0600); STATE_DIR/cluster.json if not given.")
WEAVE_OPTION(port,            std::uint16_t,            6783,          "--port",            "WEAVE_PORT",             "PORT",     "TCP port for mesh control and UDP port for sealed traffic.")
WEAVE_OPTION(listen,          std::vector<std::string>, {},            "--listen",          "WEAVE_LISTEN",           "ADDRESS",  "Underlay address to listen on; at most one of each family, repeated or as 192.0.2.1,::1 (commas or spaces); all addresses if not given.")
WEAVE_OPTION(advertise,       std::vector<std::string>, {},            "--advertise",       "WEAVE_ADVERTISE",        "ADDRESS",  "Underlay address told to peers, ADDRESS or ADDRESS:PORT; several are repeated or have commas or spaces between them; if not given all global addresses of the host, without those of bridges that no default route leaves by.")
WEAVE_OPTION(ipalloc_range,   std::string,              "10.32.0.0/12","--ipalloc-range",   "WEAVE_IPALLOC_RANGE",    "PREFIX",   "Range that pods' addresses come from, the same on all nodes; underlay addresses inside it are never told to peers.")
WEAVE_OPTION(ipalloc_range6,  std::string,              "auto",        "--ipalloc-range6",  "WEAVE_IPALLOC_RANGE6",   "PREFIX",   "IPv6 range beside it, of which as many addresses are used; auto: a unique local one made of the cluster's id; off: pods get IPv4 alone.")
WEAVE_OPTION(ipalloc_default_subnet, std::string,       {},            "--ipalloc-default-subnet", "WEAVE_IPALLOC_DEFAULT_SUBNET", "PREFIX", "Part of the range for pods that name no subnet; the whole range if not given.")
WEAVE_OPTION(ipalloc_lease,   std::uint16_t,            3600,          "--ipalloc-lease",   "WEAVE_IPALLOC_LEASE",    "SECONDS",  "How long this node hands out new addresses while it is out of touch with half of the mesh; after a quarter more, and 30 seconds, the others may take its space back.")
WEAVE_OPTION(ipalloc_rest,    std::uint16_t,            60,            "--ipalloc-rest",    "WEAVE_IPALLOC_REST",     "SECONDS",  "How long an address that came back rests before another pod gets it.")
WEAVE_OPTION(no_masquerade,   bool,                     false,         "--no-masquerade",   "WEAVE_NO_MASQUERADE",    "",         "Leave the addresses of pods in what goes out of the mesh through this host; without it they are replaced by the host's.")
WEAVE_OPTION(http_port,       std::uint16_t,            6784,          "--http-port",       "WEAVE_HTTP_PORT",        "PORT",     "Read-only HTTP on 127.0.0.1: status, report, metrics, health; 0 turns it off.")
WEAVE_OPTION(metrics_listen,  std::string,              {},            "--metrics-listen",  "WEAVE_METRICS_LISTEN",   "ADDRESS:PORT", "Serve /metrics, /healthz and /readyz, and nothing else, on this address too; not to pods, unless another host masquerades them.")
WEAVE_OPTION(bridge,          std::string,              "weave",       "--bridge",          "WEAVE_BRIDGE",           "NAME",     "Name of the pod bridge.")
WEAVE_OPTION(tap,             std::string,              "weave-tap",   "--tap",             "WEAVE_TAP",              "NAME",     "Name of the router's TAP port on the bridge.")
WEAVE_OPTION(mtu,             std::uint16_t,            0,             "--mtu",             "WEAVE_MTU",              "BYTES",    "MTU of pods; 0: 1356 when at the start this host, or a peer given by its address, is reached by IPv6, else 1376; a bridge that has either keeps it.")
WEAVE_OPTION(finish_checksums, bool,                    false,         "--finish-checksums", "WEAVE_FINISH_CHECKSUMS", "",        "Complete the checksums of all frames for this host's pods, for programs in them that read raw packets.")
WEAVE_OPTION(no_superframes,  bool,                     false,         "--no-superframes",  "WEAVE_NO_SUPERFRAMES",   "",         "Write frames for this host's pods one by one, for a host whose network card damages joined ones that are passed on through it.")
WEAVE_OPTION(no_dscp,         bool,                     false,         "--no-dscp",         "WEAVE_NO_DSCP",          "",         "Do not copy the DSCP of pods' packets to the packets that carry them, nor that of packets passed on for other nodes.")
WEAVE_OPTION(no_ecn,          bool,                     false,         "--no-ecn",          "WEAVE_NO_ECN",           "",         "Do not show the underlay that pods' connections take congestion marks (ECN); marks that come are passed on all the same.")
WEAVE_OPTION(grace,           std::uint16_t,            300,           "--grace",           "WEAVE_GRACE",            "SECONDS",  "How long the other nodes keep this one's routes and addresses when it has lost its last connection; 10 to 3600.")
WEAVE_OPTION(lanes,           std::uint16_t,            0,             "--lanes",           "WEAVE_LANES",            "N",        "Worker lanes (threads) of the data plane; 0: one per two processors.")
WEAVE_OPTION(cipher_provider, std::string,              "auto",        "--cipher-provider", "WEAVE_CIPHER_PROVIDER",  "NAME",     "Library that seals and opens packets: ipsec-mb, openssl or libsodium; auto: the one that is quickest on this host, measured at the start. Peers need not have the same. What it cannot do is done by another: see 'weavectl status'.")
WEAVE_OPTION(fast_path,       std::string,              "off",         "--fast-path",       "WEAVE_FAST_PATH",        "MODE",     "How datagrams leave and come in: off, by the kernel's sockets; af_xdp, past the kernel by AF_XDP sockets on each interface by which peers are reached, where that can be; auto: so where a trial under traffic shows that it is 15 % faster.")
WEAVE_OPTION(log_level,       std::string,              "info",        "--log-level",       "WEAVE_LOG_LEVEL",        "LEVEL",    "debug, info, warning or error.")
