"""How robust a trained model is: occlusion by random PatchDrop."""
