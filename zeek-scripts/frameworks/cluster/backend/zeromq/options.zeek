@load ../../../../policy/frameworks/cluster/backend/zeromq/options
