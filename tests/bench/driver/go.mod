module github.com/zeekzmq/zeek-zeromq/tests/bench

go 1.22
