##! Loaded by the demo's workers, so that ftp.log does not depend on timing.
##!
##! By way of a proxy, Zeek's workers tell all workers which FTP data connections
##! to expect, and this comes back to the sender as well. If that happens between
##! two steps of the transfer concerned, as it does when a capture is read at full
##! speed, the row in ftp.log lacks the file's type. The demo's workers see whole
##! connections and need not be told.

module FTP;

redef event sync_add_expected_data(s: Info, chan: ExpectedDataChannel)
	{
	}
