"""What every room stands on and nothing of DS2 itself: errors, checks, paths, hashes, files, words."""
