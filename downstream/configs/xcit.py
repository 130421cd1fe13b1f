"""What every configuration of XCiT shares: the backbone and its pyramid as XCiT's own dense code makes it."""

custom_imports = dict(imports=["downstream.backbone"])
sync_bn = "torch"  # XCiT has BatchNorm, and a GPU two images
xcit = dict(
    _delete_=True,
    type="TimmTransformer",
    model="xcit_small_12_p16_224",
    out_indices=(3, 5, 7, 11),
    drop_path_rate=0.05,
)
xcit_pyramid = dict(type="mmseg.Feature2Pyramid", embed_dim=384, rescales=[4, 2, 1, 0.5])
