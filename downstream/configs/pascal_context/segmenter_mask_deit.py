"""Segmenter with a mask transformer on Pascal Context (60 classes, the background counted) from DeiT.

Source: rstrudel/segmenter @cef0808, segm/config.yml and segm/data/config/pascal_context.py: 256 epochs of 16 images
(80,000 iterations, 8 x 2 images), short side 520, crops of 480, windows of 480 every 320 px. mmseg ships the data set
alone, and resizes by the long side.
"""

_base_ = "../ade20k/segmenter_mask_deit.py"
crop_size = (480, 480)
scale = (8 * 520, 520)  # longest and short side; the images' proportions never reach 8 : 1
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=480),
    decode_head=dict(num_classes=60),
    test_cfg=dict(crop_size=crop_size, stride=(320, 320)),
)
linear_head = dict(num_classes=60)
dataset = dict(
    type="PascalContextDataset",
    data_root="data/VOCdevkit/VOC2010/",
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassContext"),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=scale, keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(_delete_=True, **dataset, ann_file="ImageSets/SegmentationContext/train.txt", pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(_delete_=True, **dataset, ann_file="ImageSets/SegmentationContext/val.txt", pipeline=test_pipeline)
)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=80000, val_interval=8000)
param_scheduler = [dict(type="PolyLR", eta_min=1e-5, power=0.9, by_epoch=False, begin=0, end=80000)]
default_hooks = dict(checkpoint=dict(interval=8000))
