@load ../../../../policy/frameworks/cluster/backend/zeromq/main
