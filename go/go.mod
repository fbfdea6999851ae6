module github.com/zeekzmq/zeek-zeromq/go

go 1.22

require (
	github.com/google/go-cmp v0.7.0
	github.com/pebbe/zmq4 v1.4.0
)
