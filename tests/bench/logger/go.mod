module github.com/zeekzmq/zeek-zeromq/tests/bench/logger

go 1.22

require github.com/pebbe/zmq4 v1.4.0
