# @TEST-DOC: Some keys, but not those that it takes for encryption, are worth a warning for each kind of connection that is in plain text; all or none are not.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: zeek -b keys.zeek >keys
# @TEST-EXEC: sh -e ./try.sh >told
# @TEST-EXEC: btest-diff told

# @TEST-START-FILE keys.zeek
@load policy/frameworks/cluster/backend/zeromq/options

event zeek_init()
	{
	for ( side in set("client", "server") )
		{
		local pair = Cluster::Backend::ZeroMQ::generate_keypair();
		print fmt("%s_publickey %s", side, pair["public"]);
		print fmt("%s_secretkey %s", side, pair["secret"]);
		}
	}
# @TEST-END-FILE

# @TEST-START-FILE try.sh
try() {
    echo "-- $*"
    for key; do
        [ $key = none ] || sed -n "s/^\\($key\\) \\(.*\\)/redef Cluster::Backend::ZeroMQ::curve_\\1 = \"\\2\";/p" keys
    done >some-keys.zeek
    # Whether the node lives to see the handshake with its own broker fail is chance.
    CLUSTER_NODE=logger-1 zeek -b node.zeek 2>&1 | sed -n 's/.*warning.*: \(ZeroMQ: .*\)/\1/p' | sed '/^ZeroMQ: Handshake for socket /d'
}
try none
try server_publickey server_secretkey client_publickey client_secretkey
try server_secretkey
try server_publickey client_publickey client_secretkey
try server_publickey server_secretkey client_secretkey
# @TEST-END-FILE

# @TEST-START-FILE node.zeek
@load cluster-test
@load ./some-keys

redef Cluster::Backend::ZeroMQ::run_proxy_thread = T;

event zeek_init() &priority=-20
	{
	terminate();
	}
# @TEST-END-FILE
