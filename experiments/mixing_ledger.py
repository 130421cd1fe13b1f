"""The ledger's entries on the rival ways to mix, and their sources. Standard library only."""

from __future__ import annotations

from experiments.entries import Entry

SOURCES = {
    "SaliencyMix": "afm-shahab-uddin/SaliencyMix @9ee02b8",
    "FMix": "ecs-vlc/FMix @e5991dc",
    "ResizeMix": "JayQine/ResizeMix @45441ff",
    "GridMix": "IlyaDobrynin/GridMixup @11b741f",
    "PuzzleMix": "snu-mllab/PuzzleMix @e2dbf3a",
    "TokenMix": "Sense-X/TokenMix @0e17d5d",
    "SMMix": "ChenMnZ/SMMix @14b1edc",
    "MixPro": "fistyee/MixPro @53a229e",
    "OpenCV": "opencv-contrib-python 5.0.0, module saliency",
    "LUMix": "kevin-ssy/LUMix @4cfc420",
}

ENTRIES = (
    Entry(
        "Whose saliency SaliencyMix follows",
        says={
            "SaliencyMix README": "a box around what is salient in the source image",
            "SaliencyMix train.py": "one box, by the partner of the batch’s first image, for all pairs; its map is of "
            "normalised floats, on which OpenCV’s peak is close to chance",
            "openmixup saliencymix.py": "the same",
        },
        choice="A box by each pair’s own partner, from grey values; SET=as_published=true for one box a batch.",
    ),
    Entry(
        "Which saliency map SaliencyMix reads",
        says={
            "SaliencyMix saliencymix.py": "OpenCV’s StaticSaliencyFineGrained, which only its contrib packages have",
            "OpenCV 5.0.0 on 20 scenes": "of 64 and 224 pixels, compared by us with the stand-in: of the same grey "
            "values the maps correlate by .89 and .995 (boxes overlap by 57 and 86 %); of normalised floats, as the "
            "code gives them, OpenCV’s map correlates by .01 with the stand-in’s",
        },
        choice="What that implements, written anew: it differs at the border, which counts at 64 pixels.",
    ),
    Entry(
        "How many cells Attentive CutMix keeps",
        says={
            "openmixup documentation": "a share drawn from Beta(alpha, 8)",
            "openmixup attentivemix.py": "a share drawn from Beta(alpha, alpha); beta=8 of its files is not read",
        },
        choice="As the code draws it, for the published numbers are its; SET=mix_options.beta=8 for the documentation.",
    ),
    Entry(
        "Where FMix takes its spectrum from",
        says={
            "FMix implementations": "real and imaginary parts are the first two rows of the noise, not its last axis: "
            "every row of a mask has one interval at most",
            "openmixup fmix.py": "the same",
        },
        choice="From the last axis, as the method means it; SET=as_published=true for masks as in published numbers.",
    ),
    Entry(
        "Where ResizeMix pastes",
        says={
            "ResizeMix trainer.py": "a place for each image, shifted inside: 23.9 % of the pixels on average",
            "openmixup resizemix.py": "one place a batch, clipped at the border: 17.2 %",
        },
        choice="As its own code; SET=mix_options.variant=openmixup for the other, which has the numbers on ViTs.",
    ),
    Entry(
        "GridMix’s crop",
        says={
            "GridMix gridmix_pytorch.py": "may be larger than the image, and then counts from the other end",
            "openmixup gridmix.py": "the same, in 56 % of the draws of its ViT configurations",
        },
        choice="Ends where the image does; SET=as_published=true for the other.",
    ),
    Entry(
        "TokenMix’s targets",
        says={
            "TokenMix tokenmix.py": "half of the smoothing is taken off each share, below zero where one is smaller; "
            "label maps are made offline by NFNet-F6 at 576 pixels",
            "openmixup tokenmix.py": "another method: the student’s attention, its two weights the wrong way round",
        },
        choice="No class gets less than the smoothing (SET=as_published=true: it may); a teacher of one’s own, or the "
        "baseline of Table 1, reads the augmented crop. openmixup’s method is not built.",
    ),
    Entry(
        "What MixPro was trained with",
        says={
            "MixPro README": "progressive attention labelling is on",
            "MixPro configs/deit": "it is off in all three, and patches have 14 pixels",
            "MixPro main.py": "cannot start as released (math is not imported); counts cells before the border cuts "
            "some",
        },
        choice="Both, as the methods mixpro and maskmix, with the models of Table 1; the label’s share is counted on "
        "the mask, and with SET=as_published=true before the cut.",
    ),
    Entry(
        "PuzzleMix’s graph cut",
        says={
            "PuzzleMix mixup.py": "alpha-beta swap by gco-wrapper, which may miss the optimum for three labels",
            "openmixup puzzlemix.py": "the same; its loss takes one lambda for the whole batch",
        },
        choice="The optimum, by maximum flow, and a lambda for each image; SET=mix_options.solver=gco for the swap.",
    ),
    Entry(
        "SMMix on PVT",
        says={"SMMix main.py": "a grid of 14 x 14 unless told otherwise; the README’s PVT command fails"},
        choice="The grid is the model’s.",
    ),
    Entry(
        "Published numbers of rival methods",
        says={
            "TokenMix README": "DeiT-T 73.2 %",
            "openmixup Mixup_imagenet.md": "TokenMix DeiT-T 75.31 %, marked as the original’s; CutMix DeiT-T 74.23 %",
            "openmixup mixups/README.md": "an older copy: CutMix DeiT-T 73.82 %",
        },
        choice="Both are shown where two sources differ.",
    ),
    Entry(
        "Methods that are not built",
        says={
            "LUMix README": "“Coming soon”: no code",
            "openmixup automix.py": "AutoMix and SAMix train a mixer of their own beside the classifier, with a "
            "momentum copy of it: 59 h where CutMix takes 27 h",
        },
        choice="They are no ways to mix a batch, but trainings of their own (LUMix: unknown), and so are left out.",
    ),
)
