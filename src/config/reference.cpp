#include "config/load.hpp"
#include "config/setting.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace redoubt::config {
namespace {

struct Section {
  std::string_view title;
  std::vector<Setting> (*rows)();
};

constexpr std::string_view kIntroduction =
    R"(# Configuration

<!-- Generated from the tables in src/config; a test compares. Make it anew with
     UPDATE_GOLDEN=1 build/debug/src/config/config_tests -->

Redoubt runs without any configuration: it listens on 127.0.0.1:3284 and keeps its data in `./data`.
Every setting below can be given in four places. Highest precedence first:

1. a flag: `redoubt serve --set sessions.ttl=2h`;
2. an environment variable: `SESSION_TTL=2h`;
3. a line of `.env` in the working directory: `SESSION_TTL=2h`;
4. `redoubt.toml` in the working directory, or the file that `--config` names:

   ```toml
   mode = "production"

   [sessions]
   ttl = "2h"
   ```

`redoubt config` prints every value in effect and where it came from; secrets show as `set`.

Nothing is guessed. A value that does not parse, is out of range or contradicts another stops the start,
and so does an unknown key of `redoubt.toml` or an unknown `REDOUBT_*` variable, with the name that was
probably meant. All problems are listed at once:

```
$ SESSION_TTL=soon REDOUBT_LISTNE=4000 redoubt config
REDOUBT_LISTNE: there is no such setting; did you mean REDOUBT_LISTEN?
SESSION_TTL: "soon" is not a duration; write 5s, 250ms, 1h30m, 2d or seconds as 3600
2 problems
```

- **Two names.** Where a setting has two environment names, either will do. Both in one place must
  agree.
- **Secrets** can also be given as a file: `TOKEN_ENCRYPTION_KEY_FILE=/run/secrets/key`, or
  `token_encryption_key_file` in `redoubt.toml`. White space around the file's text does not count. They
  are never taken from flags, which other users of the machine can see.
- **Empty variables** count as unset.
- **Durations**: `250ms`, `5s`, `1h30m`, `2d`, or seconds as `3600`. **Sizes**: `64kb`, `256mb`, `2gb`
  (powers of 1024), or bytes. **Switches**: `true`/`false`, `yes`/`no`, `on`/`off`, `1`/`0`.
- **Lists** are separated by commas, or are arrays in `redoubt.toml`; `none` is the empty list.
- **`.env`** holds `NAME=value` lines, with `#` comments, an optional `export`, `'literal'` and
  `"escaped"` values. `$` is not expanded; an unquoted or double-quoted value that would be expanded
  elsewhere is refused if it is one of ours.
)";

constexpr std::string_view kNamedLimits = R"(
### Named limits

A limit that callers ask for by name is a line of `[limits]`, a table, or a variable. These three are the
same:

```toml
[limits]
chat = "60/1m burst 10 strict"
```

```toml
[limits.chat]
limit = 60
period = "1m"
burst = 10
class = "strict"
```

```sh
REDOUBT_LIMIT_CHAT="60/1m burst 10 strict"
```

The line is a count and a period, then words in any order:

| word | meaning |
|---|---|
| `60/1m` | 60 (1 to 1000000000) per minute (1ms to 366d) |
| `burst 10` | how many at once; goes with `gcra`. Unless given, 10, or the count where that is smaller |
| `gcra` | smooth, by the generic cell rate algorithm; what a limit is unless told otherwise |
| `sliding_window` | two counters weighted by overlap |
| `sliding_log` | exact over any period; remembers each admission, so the count is at most 10000 |
| `fixed_window` | windows of the period, aligned to the epoch |
| `calendar_window` | per calendar minute, hour, day or month in UTC: `1000/day calendar_window` |
| `soft` | kept in memory, full again after a restart; unless told otherwise |
| `strict` | kept in the record: survives, and is refused while the record is away |
| `share` | while Redis is away, each instance counts by itself and admits its share; unless told otherwise |
| `refuse` | while Redis is away, everything is refused |
| `open` | while Redis is away, everything is admitted |

Names are 1 to 64 of `a-z 0-9 _ . -`; a variable's is lowered, so `REDOUBT_LIMIT_CHAT` is `chat`. The
policy `default` comes from the four settings above, or whole from `limits.default`.
)";

constexpr std::string_view kUnusedIntroduction = R"(
## Known and not used

Setups made for other systems, or for a server with breakers, carry these names. They are not mistaken
for typos; `redoubt config` lists those that are given.

| environment | meaning elsewhere |
|---|---|
)";

constexpr std::string_view kClientNames = R"(
## Commands that call a server

`REDOUBT_URL` and `REDOUBT_API_KEY` (or `REDOUBT_API_KEY_FILE`) say which server `redoubt call` and its
like talk to, and as whom. The server itself does not read them.
)";

constexpr Section kSections[] = {
    {"Mode and encryption", crypto_settings},
    {"HTTP", http_settings},
    {"Record", record_settings},
    {"Sessions", session_settings},
    {"Limits", limit_settings},
    {"Cache", cache_settings},
    {"Redis", redis_settings},
    {"Redis over HTTP", upstash_settings},
    {"Log", log_settings},
};

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string names_cell(const Setting& row) {
  std::string out;
  for (const auto name : row.name.environment) {
    if (!out.empty()) out += ", ";
    out += fmt::format("`{}`", name);
    if (row.secret) out += fmt::format(", `{}_FILE`", name);
  }
  return out;
}

std::string section_text(const Section& section) {
  const Config defaults;
  std::string out = fmt::format("\n## {}\n\n", section.title);
  out += "| redoubt.toml | environment | default | accepts | meaning |\n|---|---|---|---|---|\n";
  for (const auto& row : section.rows()) {
    out += fmt::format("| `{}` | {} | `{}` | {} | {} |\n", row.name.key, names_cell(row),
                       cell(row.show(defaults)), cell(row.accepts), cell(row.name.help));
  }
  return out;
}

}  // namespace

std::string configuration_reference() {
  std::string out(kIntroduction);
  for (const auto& section : kSections) {
    out += section_text(section);
    if (section.title == "Limits") out += kNamedLimits;
  }
  out += kUnusedIntroduction;
  for (const auto& row : reserved_names()) {
    out += fmt::format("| `{}` | {} |\n", row.name, cell(row.help));
  }
  out += kClientNames;
  return out;
}

}  // namespace redoubt::config
