@load ../../../../policy/frameworks/cluster/backend/zeromq/connect
