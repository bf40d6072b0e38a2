"""The numbers that the authors' own CBAM gave, and its names for what is ours."""

NAMES = ["cbam_eval_c32_r4", "cbam_eval_c64_r16", "cbam_train_c64_r16"]
OUR_KEYS = {
    "ChannelGate.mlp.1": "channel.fc1",
    "ChannelGate.mlp.3": "channel.fc2",
    "SpatialGate.spatial.conv": "spatial.conv",
    "SpatialGate.spatial.bn": "spatial.norm",
}
