"""The `wdyn` command: options in, one library call, one line out."""
