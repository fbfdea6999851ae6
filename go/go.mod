module github.com/zeekzmq/zeek-zeromq/go

go 1.22
