# @TEST-DOC: The broker has as many I/O threads as proxy_io_threads says.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: for n in 1 5; do rm -f over; node -d threads-$n manager %INPUT Cluster::Backend::ZeroMQ::proxy_io_threads=$n; wait-for test -s threads-$n/pid; cat /proc/$(cat threads-$n/pid)/task/*/comm | grep -c "^ZMQbg/IO" >count-$n; touch over; wait-for test -e threads-$n/rc; done
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: expr $(cat count-5) - $(cat count-1) >difference
# @TEST-EXEC: btest-diff difference

@load cluster-test

redef Test::end_on_file = "../over";

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	# Something has passed through the broker, so it is up in full.
	local f = open("pid");
	print f, getpid();
	close(f);
	}
