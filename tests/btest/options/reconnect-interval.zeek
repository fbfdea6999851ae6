# @TEST-DOC: A connection that cannot be made is tried again after reconnect_interval, then after twice that time and so on up to reconnect_interval_max. libzmq adds up to a reconnect_interval by chance.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -d growing worker-1 %INPUT Cluster::Backend::ZeroMQ::reconnect_interval=100msecs Cluster::Backend::ZeroMQ::reconnect_interval_max=400msecs
# @TEST-EXEC: node -d constant worker-1 %INPUT Cluster::Backend::ZeroMQ::reconnect_interval=300msecs Cluster::Backend::ZeroMQ::reconnect_interval_max=300msecs
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: btest-diff growing/out
# @TEST-EXEC: btest-diff constant/out

@load cluster-test

# Nobody listens.
redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;

# ZMQ_EVENT_CONNECT_RETRIED, with the wait that now begins, in milliseconds.
const retried = 4;

global waits = 0;
global sum = 0msecs;
global start: time;

event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	if ( number != retried || address != Cluster::Backend::ZeroMQ::connect_xpub_endpoint )
		return;

	if ( waits == 0 )
		start = current_time();

	if ( waits == 5 )
		{
		print fmt("it took what it said: %s", current_time() - start > sum - 50msecs && current_time() - start < sum + 20secs);
		terminate();
		}

	if ( ++waits > 5 )
		return;

	local jitter = interval_to_double(Cluster::Backend::ZeroMQ::reconnect_interval) * 1000.0;
	sum += value * 1msec;

	for ( _, at_least in Cluster::Backend::ZeroMQ::reconnect_interval == 100msecs ? vector(100, 200, 400) : vector(300) )
		if ( value >= at_least && value <= at_least + jitter )
			{
			print fmt("wait %d is from %d to %.0f ms", waits, at_least, at_least + jitter);
			break;
			}
	}
