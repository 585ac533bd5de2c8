#!/usr/bin/env perl

# conf/examples/operated.conf: who may look, who may change something, the
# settings file, and the state over a restart.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64;
use Test::More;
use Helix;

my $t = Helix->new(stats => '/local/api/stats');
my $json = 'application/json';

$t->conf(example());
$t->write('helix.passwd', "admin:{PLAIN}one\nguest:{PLAIN}two\n");
$t->write('helix.json', '{"cpu_queue_cap": 256}');
$t->start;

my @admin = (Authorization => 'Basic ' . encode_base64('admin:one', ''));
my @guest = (Authorization => 'Basic ' . encode_base64('guest:two', ''));
my @forged = (Authorization => 'Basic ' . encode_base64('admin:two', ''));

for (['nobody', 401, 401], ['a guest', 200, 403, @guest],
     ['a wrong password', 401, 401, @forged], ['the admin', 200, 200, @admin])
{
    my ($who, $read, $write, @headers) = @$_;

    is($t->get('/helix/api/config', @headers)->status, $read, "$who looks");
    is($t->request('PATCH', '/helix/api/config', '{"batch_max_size":16}',
                   'Content-Type' => $json, @headers)->status,
       $write, "$who changes something");
}

my $config = $t->get('/local/api/config')->json;

is($config->{batch_max_size}, 16, 'it was changed');
is($config->{origin}{batch_max_size}{by}, 'admin@127.0.0.1', 'by whom');
is($config->{cpu_queue_cap}, 256, 'what the settings file says');

is($t->post('/local/api/telemetry', '{"pressure":0.5,"source":"gpu"}')
     ->json->{external}, 0.5, 'a program on this machine reports');
is($t->get('/alive')->json->{status}, 'ok', 'alive');
is($t->get('/jobs?kind=hashmix&inputs=42,100&cost=1000')->status, 200, 'a job');

$t->stop('QUIT');
$t->start;

is($t->wait_for(sub { $t->stats->{received} }, 'the state'), 1,
   'the job is counted after a restart');
is($t->get('/local/api/config')->json->{batch_max_size}, 16,
   'and the setting is as it was changed');


sub example {
    open my $fh, '<', "$FindBin::Bin/../conf/examples/operated.conf" or die;
    local $/;
    my $conf = <$fh>;

    $conf =~ s/^(?:load_module|error_log) .*\n//mg;
    $conf =~ s|/var/lib/nginx/helix/|%%DIR%%/logs/| or die;
    $conf =~ s/\blisten\s+8080/listen 127.0.0.1:%%PORT_0%%/ or die;
    $conf =~ s/^http \{\n/http {\n%%TEST_GLOBALS_HTTP%%\n/m or die;

    return "%%TEST_GLOBALS%%\n$conf";
}
