# @TEST-DOC: With run_proxy_thread=T a process binds both ports of the broker, with F neither; by default only the manager does.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT Cluster::Backend::ZeroMQ::run_proxy_thread=F
# @TEST-EXEC: wait-for test -s manager/out
# @TEST-EXEC: listens $XPUB_PORT $XSUB_PORT >without-broker
# @TEST-EXEC: btest-diff without-broker
# @TEST-EXEC: node worker-1 %INPUT Cluster::Backend::ZeroMQ::run_proxy_thread=T
# @TEST-EXEC: wait-for test -s worker-1/out
# @TEST-EXEC: listens $XPUB_PORT $XSUB_PORT >with-broker
# @TEST-EXEC: btest-diff with-broker
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100

@load cluster-test

redef Test::end_on_file = "../over";

event zeek_init() &priority=-100
	{
	print "ready";
	flush_all();
	}
