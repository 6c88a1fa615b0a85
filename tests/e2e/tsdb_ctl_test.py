"""tocsinctl tsdb beside promtool tsdb: the same verbs over the same directories print the same."""
import re

from tsdb_lib import *

TEXT = "".join(
    ["# HELP a some help\n# TYPE a counter\n"]
    + [f'a_total{{i="{i}",job="j{i % 3}",path="/x\\"y\\\\{i % 2}"}} {k * (i + 1)} {1700000000 + k * 60}\n'
       for i in range(7) for k in range(300)]
    + ["# TYPE h histogram\n"]
    + [f'h_bucket{{le="{le}"}} {k * (2 if le == "+Inf" else 1)} {1700000000 + k * 60}\n' for k in range(300) for le in ("0.5", "+Inf")]
    + ["# TYPE g gauge\n"]
    + [f'g {("NaN", "+Inf", "-Inf", "1e300", "0.1", "-3")[k % 6]} {1700000000 + k * 60}\n' for k in range(300)]
    + ["# EOF\n"])


def ctl(*words):
    done = subprocess.run([TOCSINCTL, "tsdb", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (words, done.stderr[-2000:])
    return done.stdout


def directories():
    """The same samples imported by promtool and by tocsinctl."""
    folder = scratch()
    text = os.path.join(folder, "in.om")
    with open(text, "w", encoding="utf-8") as f:
        f.write(TEXT)
    theirs, ours = folder + "/theirs", folder + "/ours"
    printed = promtool("create-blocks-from", "openmetrics", text, theirs), ctl("create-blocks-from", "openmetrics", text, ours)
    os.makedirs(theirs + "/wal")
    return theirs, ours, printed


def imports_make_the_same_blocks():
    theirs, ours, printed = directories()
    columns = [[re.split(r"  +", line) for line in out.splitlines()] for out in printed]
    # Older releases cut chunks of floats by count only, newer ones at a kibibyte, too; sizes and names are each one's own.
    same = [[line[1:5] + line[6:7] for line in out] for out in columns]
    assert same[0] == same[1], printed
    assert dump(theirs) == dump(ours) and len(dump(ours)) == 300 * 10


def lists_and_dumps_are_the_same():
    theirs, _, _ = directories()
    for words in (["list"], ["list", "-r"], ["dump"], ["dump", "--min-time=1700003000000", "--max-time=1700004000000"],
                  ["dump", '--match={i="1"}'], ["dump", '--match={__name__=~"g|h.*"}']):
        assert promtool(*words, theirs) == ctl(*words, theirs), words


def analyses_count_the_same():
    theirs, _, _ = directories()
    for words in (["analyze"], ["analyze", "--limit=100"]):
        want, got = ([normal(s) for s in re.split(r"\n\n", out)] for out in (promtool(*words, theirs), ctl(*words, theirs)))
        if words == ["analyze", "--limit=100"]:
            assert want[:len(got)] == got, (want, got)
        else:  # promtool shows equal counts in any order, and cuts the list there
            assert [[x[0] for x in s] for s in want[:len(got)]] == [[x[0] for x in s] for s in got], (want, got)


def normal(section):
    """Lines of a section, those with equal counts in one order; newer releases call the first figure Total Series."""
    lines = [line.split(" ") for line in section.replace("Total Series", "Series").splitlines()]
    return lines[:1] + sorted(lines[1:], key=lambda x: (-int(x[0]) if x[0].isdigit() else 0, x))


def openmetrics_comes_back_the_same():
    _, ours, _ = directories()
    text = ctl("dump-openmetrics", ours)
    assert text.endswith("# EOF\n")
    again = scratch() + "/again"
    with open(again + ".om", "w", encoding="utf-8") as f:
        f.write(text)
    promtool("create-blocks-from", "openmetrics", again + ".om", again)
    assert dump(again) == dump(ours)


def bench_write_says_how_fast():
    folder = scratch()
    with open(folder + "/metrics.json", "w", encoding="utf-8") as f:
        for i in range(300):
            f.write(json.dumps({"__name__": "m", "i": str(i)}) + "\n")
    out = ctl("bench", "write", f"--out={folder}/out", "--metrics=300", "--scrapes=50", folder + "/metrics.json")
    assert " > total samples: 15000\n" in out and " > samples/sec: " in out, out


if __name__ == "__main__":
    main([imports_make_the_same_blocks, lists_and_dumps_are_the_same, analyses_count_the_same,
          openmetrics_comes_back_the_same, bench_write_says_how_fast])
