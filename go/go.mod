module github.com/zeekzmq/zeek-zeromq/go

go 1.22

require github.com/google/go-cmp v0.7.0

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.17.11 // indirect
	github.com/pebbe/zmq4 v1.4.0 // indirect
	github.com/spf13/cobra v1.8.1 // indirect
	github.com/spf13/pflag v1.0.5 // indirect
)
