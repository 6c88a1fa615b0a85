#!/usr/bin/env python3
"""The house checks itself. Fails on: an include that points up or sideways (tools/floors.txt), io/ included by anything
but *_io.c, app/, cmd/, ctl/, a private header (_int.h) used outside its folder, a banned call, an undocumented public
header, an owed note (TODO). Lists, without failing: long functions and files, sources without a unit test.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BANNED = {
    "strcpy": "buf_str or memcpy", "strcat": "buf_str", "sprintf": "buf_printf or snprintf", "strtok": "str_split",
    "atoi": "num_parse_i64", "atol": "num_parse_i64", "atof": "num_parse_f64", "strtol": "num_parse_i64",
    "strtoul": "num_parse_u64", "strtod": "num_parse_f64", "gmtime": "civil_from_unix", "localtime": "model/timezone.h",
    "mktime": "civil_to_unix", "setlocale": "nothing: text is UTF-8", "toupper": "ascii_upper", "tolower": "ascii_lower",
    "isalpha": "ascii_is_alpha", "isdigit": "ascii_is_digit", "isspace": "ascii_is_space", "gets": "fs",
}
# The one place that wraps a banned call, with its reason.
ALLOWED = {("src/base/num.c", "strtod"): "the wrapper itself"}
LIBRARY_HEADERS = {
    "uv.h": ("io",), "curl/curl.h": ("io",), "microhttpd.h": ("io",), "re2/re2.h": ("regex",), "yaml.h": ("yaml",),
    "sodium.h": ("crypto",), "snappy-c.h": ("wire",), "zstd.h": ("wire",), "zlib.h": ("wire",),
}
FUNCTION_LONG, FILE_LONG = 100, 800


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard", *patterns], cwd=ROOT,
                         stdout=subprocess.PIPE, check=True).stdout
    return sorted(p for p in out.decode().split("\0") if p and os.path.exists(os.path.join(ROOT, p)))


def strip(text):
    """Blanks comments and strings, keeping lines."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def main():
    floors = {}
    for line in open(os.path.join(ROOT, "tools", "floors.txt"), encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            number, name = line.split()
            floors[name] = int(number)
    errors, notes = [], []
    checks = 0
    tests = set(tracked("tests"))
    for path in tracked("src"):
        parts = path.split("/")
        if not path.endswith((".c", ".h", ".cc")):
            continue
        checks += 1
        folder = parts[1]
        if folder not in floors:
            errors.append(f"{path}: folder {folder} is not in tools/floors.txt")
            continue
        raw = open(os.path.join(ROOT, path), encoding="utf-8").read()
        code = strip(raw)
        for number, line in enumerate(raw.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match:
                target = match.group(1).split("/")
                if len(target) < 2 or target[0] not in floors:
                    if not match.group(1).endswith((".pb-c.h", "version.h")):
                        errors.append(f"{path}:{number}: include \"{match.group(1)}\" names no folder")
                    continue
                if target[0] != folder and floors[target[0]] >= floors[folder]:
                    errors.append(f"{path}:{number}: {folder} (floor {floors[folder]}) may not include {target[0]} "
                                  f"(floor {floors[target[0]]})")
                if target[0] == "io" and folder not in ("io", "app", "cmd", "ctl") and \
                        not re.search(r"_io\.[ch]$", path):
                    errors.append(f"{path}:{number}: only *_io.c, app/, cmd/ and ctl/ may include io/")
                if target[-1].endswith("_int.h") and target[0] != folder:
                    errors.append(f"{path}:{number}: {match.group(1)} is private to {target[0]}/")
            match = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if match and match.group(1) in LIBRARY_HEADERS and folder not in LIBRARY_HEADERS[match.group(1)]:
                errors.append(f"{path}:{number}: <{match.group(1)}> belongs to {LIBRARY_HEADERS[match.group(1)][0]}/")
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                errors.append(f"{path}:{number}: an owed note without an owner")
        for match in re.finditer(r"\b([a-z]+)(?:_r)?\s*\(", code):
            if match.group(1) in BANNED and (path, match.group(1)) not in ALLOWED:
                number = code.count("\n", 0, match.start()) + 1
                errors.append(f"{path}:{number}: {match.group(1)}() is banned: use {BANNED[match.group(1)]}")
        if path.endswith(".h") and not path.endswith("_int.h") and "/*" not in raw[:400]:
            errors.append(f"{path}: a public header opens with what it is for")
        if path.endswith(".c"):
            if not raw.startswith("/*"):
                notes.append(f"{path}: no design note at its head")
            lines = raw.count("\n")
            if lines > FILE_LONG:
                notes.append(f"{path}: {lines} lines")
            for match in re.finditer(r"\n\{\n(.*?)\n\}\n", code, re.S):
                length = match.group(1).count("\n") + 1
                if length > FUNCTION_LONG:
                    number = code.count("\n", 0, match.start()) + 1
                    notes.append(f"{path}:{number}: a function of {length} lines")
            name = parts[-1][:-2]
            if not any(name in t for t in tests):
                notes.append(f"{path}: no test is named after it")
    if "-v" in sys.argv:
        for note in notes:
            print("note: " + note)
    for error in errors:
        print(error)
    print(f"{len(notes)} notes (./dev tidy -v)")
    print(f"{checks - len({e.split(':')[0] for e in errors})} passed, {len({e.split(':')[0] for e in errors})} failed")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
