"""The discrepancy ledger: where the sources of TransMix disagree or are silent, and what this suite does about it.

What the suite does is read from the recipes (`experiments.entries.chosen`), never typed here. An alternative is what
``SET=`` takes: ``make table1 ROWS=deit_s SET="switch_prob=0.8"``. It changes both runs of a pair, but for the label
rule: a baseline keeps CutMix's. ``python -m experiments ledger`` prints the ledger, and every report shows it.

Standard library only.
"""

from __future__ import annotations

from experiments.entries import Alternative, Entry, as_deit_itself
from experiments.mixing_ledger import ENTRIES as WAYS_TO_MIX
from experiments.mixing_ledger import SOURCES as OF_WAYS_TO_MIX
from experiments.rows import family, table1

SOURCES = {
    "slides": "the TransMix slides: Algorithm 1 and the ImageNet table",
    "official": "the authors’ code, Beckschen/TransMix @0e4d31e",
    "DeiT": "facebookresearch/deit",
    "PVT": "whai362/PVT @57e2dfa",
    "XCiT": "facebookresearch/xcit @82f5291",
    "PatchDrop": "Muzammal-Naseer/Intriguing-Properties @9aa9fea",
    "openmixup": "a re-implementation, Westlake-AI/openmixup @37e1372",
    "timm": "timm 1.0.31, whose models are trained here",
    **OF_WAYS_TO_MIX,
}
ALL = tuple(table1())
DEIT, PVT, XCIT, CAIT = map(family, ("deit", "pvt", "xcit", "cait"))

LEDGER: dict[str, tuple[Entry, ...]] = {
    "Training recipes": (
        Entry(
            "Share of CutMix batches",
            says={
                "official configs/deit_s_transmix.yaml": "mixup-switch-prob: 0.8, with dashes: train.py knows no such "
                "key and keeps its default, 0.5",
                "official configs/deit_b_transmix.yaml": "mixup_switch_prob: 0.8, which is read",
                "DeiT main.py": "0.5",
            },
            choice="What the official code really does. TransMix relabels no other batches: this is how often it acts.",
            rows=DEIT,
            settings=("switch_prob",),
            alternatives=(
                Alternative("switch_prob=0.8", "as the DeiT-S file says", ("deit_t", "deit_s")),
                Alternative("switch_prob=0.5", "as DeiT-S, and as DeiT itself", ("deit_b",)),
            ),
        ),
        Entry(
            "Batch size and learning rate",
            says={
                "official configs/deit_s_transmix.yaml": "lr 1e-3 for a batch of 256; for 1,024 until commit cda9c76 "
                "(March 2022)",
                "official configs/deit_b_transmix.yaml": "lr 1e-3 for a batch of 256",
                "DeiT main.py": "lr = 5e-4 × batch / 512, which is 2.5e-4 for 256 and 1e-3 for 1,024",
                "DeiT issue #63": "a user’s plain DeiT-B falls from 81.8 to 78.8 % when the batch is halved to 512",
            },
            choice="The files as they stand: four times DeiT’s rule. Which batch the published numbers had is unknown.",
            rows=DEIT,
            settings=("batch_size", "lr"),
            alternatives=(
                Alternative("batch_size=1024", "as first released, and DeiT’s rule", DEIT),
                Alternative("lr=2.5e-4", "DeiT’s rule at a batch of 256", DEIT),
            ),
        ),
        Entry(
            "Epochs",
            says={
                "official train.py": "300, then timm’s 10 cool-down epochs at the smallest learning rate: 310",
                "DeiT main.py": "300; the cool-down epochs are not run",
                "PVT classification/main.py": "as DeiT",
                "XCiT main.py": "400; the cool-down epochs are not run",
            },
            choice="Each row follows its own source.",
            settings=("epochs", "cooldown_epochs"),
            alternatives=(Alternative("cooldown_epochs=0", "300, as DeiT", DEIT),),
        ),
        Entry(
            "Warm-up and weight decay",
            says={
                "official configs/deit_s_transmix.yaml": "20 epochs of warm-up, weight decay 0.03",
                "official configs/deit_b_transmix.yaml": "5 epochs, 0.05",
                "DeiT main.py": "5 epochs, 0.05 for every size",
                "DeiT issue #63": "a user’s plain DeiT-B falls from 81.8 to 79.2 % with 10 epochs of warm-up",
            },
            choice="The files as they stand. The cosine runs from epoch 0, as in that code, so 20 epochs of "
            "warm-up end just below its peak.",
            rows=DEIT,
            settings=("warmup_epochs", "weight_decay"),
            alternatives=(
                Alternative("warmup_epochs=5 weight_decay=0.05", "as DeiT-B, and as DeiT itself", ("deit_t", "deit_s")),
            ),
        ),
        Entry(
            "Weights that are evaluated",
            says={
                "official train.py": "the moving average (0.99996) is what is validated, ranked and kept",
                "DeiT main.py": "the same average is kept, the raw weights are evaluated",
                "XCiT main.py": "as DeiT",
                "PVT classification/main.py": "no average: its lines are commented out",
            },
            choice="Each row follows its own source, CaiT DeiT’s. A run with an average leaves both weights.",
            settings=("ema_decay", "report_ema"),
            alternatives=(
                Alternative("report_ema=false", "raw weights, as DeiT", DEIT),
                Alternative("report_ema=true", "the average, as the official code", XCIT + CAIT),
                Alternative("ema_decay=0.99996 report_ema=true", "the average, as the official code", PVT),
            ),
        ),
        Entry(
            "Crop of validation images",
            says={
                "official train.py": "0.9 of a 248 px image, from timm’s configuration of the model",
                "DeiT main.py": "0.875 of a 256 px image",
                "PVT classification/main.py": "as DeiT",
                "XCiT README": "1.0 for its numbers (--full_crop), following CaiT; 0.875 without that option",
                "DeiT README_cait.md": "1.0",
            },
            choice="Each row follows its own source.",
            settings=("eval_crop",),
            alternatives=(Alternative("eval_crop=0.875", "one crop for every row, DeiT’s", DEIT + XCIT + CAIT),),
        ),
        Entry(
            "Random erasing and repeated augmentation",
            says={
                "official train.py": "neither by default, and no file sets them",
                "DeiT main.py": "erases a quarter of the images, with pixel noise; takes each image three times in an "
                "epoch of as many images",
                "PVT, XCiT": "as DeiT",
                "DeiT issue #104": "an author: repeated augmentation is the same for CaiT",
            },
            choice="Each row follows its own source, CaiT DeiT’s.",
            settings=("random_erasing", "repeated_augmentation"),
            alternatives=(
                Alternative("random_erasing=0.25", "as DeiT", DEIT),
                Alternative("repeated_augmentation=3", "as DeiT", DEIT),
                Alternative("random_erasing=0 repeated_augmentation=1", "as the official code", PVT + XCIT + CAIT),
            ),
        ),
        Entry(
            "Interpolation and precision",
            says={
                "official train.py": "crops resized bilinearly or bicubically by chance; float32; no file sets either",
                "DeiT main.py": "bicubic; mixed precision",
                "PVT, XCiT": "as DeiT",
            },
            choice="Each row follows its own source, CaiT DeiT’s. Mixed with bfloat16, which needs no loss scaling.",
            settings=("interpolation", "precision"),
            alternatives=(
                Alternative("interpolation=bicubic", "as DeiT", DEIT),
                Alternative("precision=bf16", "as DeiT", DEIT),
                Alternative("precision=fp32", "as the official code", PVT + XCIT + CAIT),
            ),
        ),
        Entry(
            "Drop path of XCiT",
            says={
                "XCiT README": "0.05 in the commands for XCiT-S12; for the others it sends to the paper’s table B.1",
                "XCiT main.py": "0.1 by default",
            },
            choice="The default where the repository is silent.",
            rows=XCIT,
            settings=("drop_path",),
        ),
        Entry(
            "CaiT’s recipe",
            says={
                "DeiT README_cait.md": "the crop of validation images; nothing on training, and no XXS in its table",
                "DeiT issue #108": "an author: DeiT’s training code, with the drop path of the CaiT paper",
                "DeiT issue #104": "a user’s question takes 400 epochs for granted; the author does not object",
                "slides": "a baseline of 79.1 %",
                "timm cait_xxs36_224.fb_dist_in1k": "the only public weights at this size are distilled",
            },
            choice="DeiT’s recipe with DeiT’s drop path, without distillation.",
            rows=CAIT,
            settings=("epochs", "batch_size", "lr", "weight_decay", "drop_path"),
            alternatives=(Alternative("epochs=400", "as issue #104 has it", CAIT),),
        ),
        Entry(
            "Rows without an official configuration",
            says={
                "official configs/": "DeiT-S and DeiT-B; nothing for DeiT-T, PVT, XCiT and CaiT",
                "openmixup": "DeiT-T with weight decay 0.03 and Mixup alpha 0.1",
            },
            choice="DeiT-T as DeiT-S; PVT, XCiT and CaiT by the recipes of their own repositories.",
            rows=("deit_t", *PVT, *XCIT, *CAIT),
        ),
        Entry(
            "What the baseline is",
            says={
                "slides": "for PVT and XCiT, digit by digit, the numbers of those repositories’ READMEs",
                "official configs/": "none without TransMix",
                "official issue #12": "a user asks for the baseline under this recipe: no answer",
            },
            choice="Published gains may mix recipe and method. Here the two runs of a pair share recipe and seed: only "
            "label_rule differs.",
            alternatives=(Alternative(as_deit_itself(DEIT), "both runs by DeiT’s own recipe", DEIT),),
        ),
    ),
    "The method": (
        Entry(
            "Attention alone, or its mean with the area",
            says={
                "slides Algorithm 1": "lam = matmul(A, M): attention alone",
                "official transmix.py": "the mean of that and the area; its argument ratio is not used",
                "official issue #7": "an author: the mean, as in the paper’s section 4.1",
            },
            choice="The mean, as the authors confirm.",
            settings=("label_rule",),
            alternatives=(
                Alternative("label_rule=attention", "Algorithm 1’s rule", ALL),
                Alternative(
                    "label_rule=attention mixup_alpha=0 smoothing=0", "that rule without Mixup and smoothing", ALL
                ),
            ),
        ),
        Entry(
            "What Algorithm 1 leaves out",
            says={
                "slides Algorithm 1": "CutMix in every batch, labels without smoothing; nothing on heads and gradients",
                "official code": "Mixup in the other batches, with its pixel lambda; smoothing in both labels; the "
                "mean over heads; lambda carries no gradient",
            },
            choice="As the official code.",
            settings=("mixup_alpha", "cutmix_alpha", "smoothing"),
            alternatives=(
                Alternative("mixup_alpha=0", "CutMix in every batch", ALL),
                Alternative("smoothing=0", "hard labels", ALL),
            ),
        ),
        Entry(
            "From the attention map to a share",
            says={
                "slides Algorithm 1": "A is not normalised: what the class token pays to itself goes to the own label; "
                "downsample(M.view(-1)), literally in one dimension",
                "official code": "A is divided by its sum over the patches; nearest sampling in two dimensions, so the "
                "top-left pixel of a patch decides",
            },
            choice="As the official code. An untrained DeiT’s patches hold 99.5 % of the attention. Sampled in one "
            "dimension, the mask of a box we tried differed on 16 % of the tokens.",
        ),
    ),
    "Ways to mix": WAYS_TO_MIX,
    "Published numbers": (
        Entry(
            "Size of the gain",
            says={
                "official README": "“by ~1 %”",
                "slides": "0.3 to 0.9 points, 0.66 on average over the twelve rows",
            },
            choice="A row is compared with its own published gain.",
        ),
        Entry(
            "FLOPs of DeiT-T",
            says={
                "slides": "1.6 G",
                "openmixup": "1.08 G, without the products of attention",
            },
            choice="The published column prints what the slides print. With the products of attention we count 1.25 G "
            "multiply-adds; so counted, the other eleven rows agree with the slides to 3 %.",
            rows=("deit_t",),
        ),
        Entry(
            "Numbers of the re-implementation",
            says={
                "slides": "with TransMix DeiT-T 72.6 %, PVT-T 75.5 %, PVT-S 80.5 %",
                "openmixup Mixup_imagenet.md": "DeiT-T 74.56 %; the slides’ numbers for PVT, which it cannot train so",
                "openmixup configs/classification/imagenet/mixups/README.md": "DeiT-T 72.92 %",
            },
            choice="Not used. As it stands, that code also averages lambda over the batch before the loss.",
            rows=("deit_t", "pvt_t", "pvt_s"),
        ),
        Entry(
            "Occlusion protocol",
            says={
                "slides": "a heading, “Occlusion”: no protocol and no numbers",
                "PatchDrop evaluate.py": "0 to 90 % of the patches dropped at random: a mask a batch, one draw, no "
                "seed; or the patches that hold 10 to 100 % of a DINO head’s attention dropped, or kept alone",
            },
            choice="Several seeded draws, each image with its own, and on every curve a ratio is a share of patches; "
            "PROTOCOL=published keeps to the script (robustness/README.md). Nothing published to compare with.",
        ),
    ),
}
