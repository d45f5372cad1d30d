"""Fetch the Java libraries of the Spark stages, once per installation; --cluster also packs what a cluster needs."""

import argparse

EXAMPLE = "  finelake setup\n  finelake setup --cluster"
NEEDS_PROJECT = False


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster", action="store_true", help="also pack the Python packages that `finelake submit` sends to a cluster"
    )


def main(options: argparse.Namespace) -> None:
    from finelake.jobs.spark import jars, package

    jars.fetch()
    print(f"{len(jars.JARS)} Java libraries in {jars.FOLDER}")
    if options.cluster:
        print(package.code_zip(), package.packages_archive(), sep="\n")
