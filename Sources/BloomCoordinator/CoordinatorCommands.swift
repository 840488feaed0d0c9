package import BloomBase

extension CoordinatorProgram {
  /// The command line.
  package static let spec = CommandSpec(
    "darkbloom-coordinator", "connect private requests with the machines that answer them",
    discussion: """
      The coordinator knows accounts, load and prices, and relays what it cannot read: requests \
      are sealed to the machines that answer, answers to the clients that asked.
      """,
    subcommands: [
      CommandSpec(
        "init", "make a data folder: keys, ledger, first account",
        options: [
          data, database,
          OptionSpec(
            "origin", value: "NAME",
            "the log's name, usually the host name of the network; it cannot change later"),
          OptionSpec("url", value: "URL", "how clients reach it, https://ORIGIN unless given"),
          OptionSpec("tls-certificate", value: "FILE", "PEM chain, when it ends TLS itself"),
          OptionSpec("tls-key", value: "FILE", "PEM key of the certificate"),
          OptionSpec(
            "signup", value: "WHO", "who may make an account, by invite unless given",
            choices: ["closed", "invite", "open"]),
          OptionSpec(
            "price-prompt", value: "MICROS",
            "the price of a million prompt tokens, \(Initialisation.defaultPrice.prompt) unless given"
          ),
          OptionSpec(
            "price-completion", value: "MICROS",
            "of a million completion tokens, \(Initialisation.defaultPrice.completion) unless given"
          ),
          OptionSpec(
            "first-credit", value: "MICROS",
            "what admin and the first user may spend, a unit unless given"),
        ],
        examples: [
          .init(
            "darkbloom-coordinator init --data /var/lib/darkbloom --origin bloom.example",
            "set up a network"),
          .init(
            "darkbloom-coordinator init --data DIR --origin lab --price-prompt 0 --price-completion 0",
            "a network in which answers are free"),
          .init(
            "darkbloom-coordinator init --data DIR --database postgresql://bloom@db.example/bloom",
            "keep the books in a PostgreSQL database"),
        ]),
      CommandSpec(
        "serve", "run the coordinator",
        discussion: """
          The first SIGTERM or SIGINT lets running answers end, the second ends at once. \
          Settings may also stand in settings.json5 of the data folder.
          """,
        options: [
          data, database,
          OptionSpec(
            "listen", value: "HOST:PORT", "where to listen, default 127.0.0.1:8640", repeats: true),
          OptionSpec("tls-certificate", value: "FILE", "PEM chain; without it plain HTTP"),
          OptionSpec("tls-key", value: "FILE", "PEM key of the certificate"),
          OptionSpec(
            "catalog", value: "DIR", "folder of the listed models' manifests, else the data folder"),
          OptionSpec(
            "tier", value: "TIER", "the weakest evidence that machines may give",
            choices: ["software", "paired", "measured", "hardware"]),
          OptionSpec(
            "local",
            "for the programs of this machine alone: sets up what is missing and writes local.json"),
          OptionSpec(
            "log", value: "LEVEL", "what is logged",
            choices: ["debug", "info", "warning", "error"]),
        ],
        examples: [
          .init(
            "darkbloom-coordinator serve --data /var/lib/darkbloom --listen 127.0.0.1:8640",
            "serve behind a proxy that ends TLS")
        ]),
      AdminCommand.spec,
    ] + OperatorCommands.specs(data, database))

  private static let data = OptionSpec(
    "data", value: "DIR", "the data folder", environment: "DARKBLOOM_DATA")

  private static let database = OptionSpec(
    "database", value: "URL",
    "where the books are: sqlite, which is in DIR, or postgresql://USER@HOST/NAME")

  /// The settings that flags, environment and `settings.json5` may give.
  static let settings: Set<String> = [
    "origin", "listen", "database", "tls.certificate", "tls.key", "catalog", "models", "tier",
    "log", "url", "signup", "signup_credit", "limits.account", "limits.address",
    "limits.registrations",
    "limits.connections", "limits.connections_per_address", "proxies", "metrics", "loops",
  ]
}
