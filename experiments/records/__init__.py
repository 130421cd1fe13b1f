"""Records: what a run measured and where that came from. Written last and atomically: no record, no run.

A record is JSON with these keys:

=============  =====================================================================================
format         2
digest         SHA-256 of all the rest (`digest`): a record that was changed after it was written is not read
run            which run it is, see `RunInfo`
settings       the recipe or protocol; with data, seed and needs they give the hash in the run's id
data           what it ran on, see `DataInfo`
metrics        what was measured; its keys depend on the kind
environment    what it ran with, see `Environment`
files          SHA-256 of what lies beside the record, by file name
started        UTC, ISO 8601
wall_seconds   over all the sessions that it took
=============  =====================================================================================

A record of a run that needs others has ``made_from``, the digests of their records by id. A kind of run adds keys of
its own. One that trains has

=============  =====================================================================================
weights        the file whose accuracy is reported
right          which validation images these weights are right about (see `experiments.correctness`)
history        for each epoch: epoch, lr, loss; label_shift, the mean distance of labels from the area rule;
               lambda_error, the mean distances of label and area from the truth, where masks were read. Where
               it was evaluated, accuracy, too, and lambda, histograms over the epoch's CutMix images (see
               `transmix.training.log.LAMBDA_BINS`): all zeros where there were none, and under the area rule
               all of shift in the bin that begins at 0
=============  =====================================================================================
"""

from __future__ import annotations

from experiments.records.files import NAME, UnreadableRecord, digest_of, read_record, rehearse, signed, write_record
from experiments.records.record import DataInfo, Environment, Record, RunInfo

__all__ = [
    "NAME",
    "DataInfo",
    "Environment",
    "Record",
    "RunInfo",
    "UnreadableRecord",
    "digest_of",
    "read_record",
    "rehearse",
    "signed",
    "write_record",
]
