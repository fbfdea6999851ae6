# @TEST-DOC: debug_flags: 2 tells of the engine's thread, 1 of each of its wake-ups, 3 of both, 0 of nothing.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: for flags in 0 1 2 3; do node -d flags-$flags - %INPUT Cluster::Backend::ZeroMQ::debug_flags=$flags; wait-for test -e flags-$flags/rc; done
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: for flags in 0 1 2 3; do echo "$flags: $(grep -o '^\[zeromq\] \(poll\|thread\)' -i flags-$flags/.stderr | tr A-Z a-z | sort -u | tr '\n' ' ')"; done >kinds
# @TEST-EXEC: btest-diff kinds

@load cluster-test

# The broker too, so that the engine has something to wake up for.
redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init() &priority=-20
	{
	Cluster::subscribe("test.debug");
	}

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	terminate();
	}
