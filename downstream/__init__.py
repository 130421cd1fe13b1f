"""Fine-tuning on ADE20K, Pascal Context and COCO through mmseg and mmdet. The only place that imports mm*."""
