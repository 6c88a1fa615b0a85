#!/usr/bin/env python3
"""./dev bench NAME [--quick]: the real peer and tocsin on the same work in one run; ratios are what to trust."""
import argparse
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
KNOWN = sorted(f[:-3] for f in os.listdir(os.path.dirname(os.path.abspath(__file__)))
               if f.endswith(".py") and f not in ("run.py", "harness.py"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=KNOWN)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="of the parts of a bench that has several (bursts, tsdb): those with this text")
    parser.add_argument("--alertmanager", default="/usr/bin/prometheus-alertmanager")
    parser.add_argument("--prometheus", default="/usr/bin/prometheus")
    opt = parser.parse_args()
    importlib.import_module(opt.name).run(opt)


if __name__ == "__main__":
    main()
