"""Two streams of frames, poses and an ECG to pairs of one heart phase."""
