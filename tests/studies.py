"""Studies as options of the command line describe them, and a method of one's own for them."""

from __future__ import annotations

import argparse

from experiments.study import Study
from experiments.study_options import add_study_options, study_from


def study(*options: str) -> Study:
    parser = argparse.ArgumentParser()
    add_study_options(parser)
    return study_from(parser.parse_args(options))


MIXED_FAR = """
from transmix.methods import Method

METHOD = Method(title="Far CutMix", settings={"cutmix_alpha": 0.2}, tables=%s)
"""
