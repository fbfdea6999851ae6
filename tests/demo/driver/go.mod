module github.com/zeekzmq/zeek-zeromq/tests/demo

go 1.22
