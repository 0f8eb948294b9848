complete --keep-order --exclusive --command proxyctl --arguments "(PROXYCTL_COMPLETE=fish proxyctl -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
