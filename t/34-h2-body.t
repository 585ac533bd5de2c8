#!/usr/bin/env perl

# A body that comes over HTTP/2 in two frames, cut at every byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open2;
use Test::More;
use Helix;

my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my $version = `$binary -V 2>&1`;
my ($minor) = $version =~ m|^nginx version: \S+?/1\.(\d+)|;

plan skip_all => 'nginx has no HTTP/2' if $version !~ /http_v2_module/;
plan skip_all => 'no python3-h2'
    if system("/usr/bin/python3 -c 'import h2' 2>/dev/null") != 0;

my $t = Helix->new;

my $listen = ($minor // 99) < 25
             ? 'listen 127.0.0.1:%%PORT_1%% http2;'
             : 'listen 127.0.0.1:%%PORT_1%%; http2 on;';

$t->conf(<<"END");
%%TEST_GLOBALS%%

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $listen

        location /jobs  { helix_pass; }
        location /helix { helix_status; }
    }
}
END

$t->start;

my $pid = open2(my $out, my $in, '/usr/bin/python3', "$FindBin::Bin/lib/h2.py",
                $t->port(1));

sub say_h2 {
    print $in "@_\n";
    $in->flush;

    my $line = <$out> // 'nothing';
    chomp $line;

    return $line;
}

my $job = '{"id":7,"kind":"hashmix","inputs":[42,100],"compute_cost":1000}';

is(say_h2('split', '/jobs', $job),
   'split 200 {"id":7,"kind":"hashmix","strategy":"inline","reason":"cheap",'
   . '"outputs":[10216004649843298165]', 'a job, cut at every byte');

is(join(' ', say_h2('split', '/jobs', '{"kind":"hashmix","inputs":[1,]}')
             =~ /^split|\d+ (?=\{"title")|"code":"\w+"/g),
   'split 400  "code":"BadJson"', 'a broken one: one answer for all cuts');

is(say_h2('close'), 'ok', 'close');
waitpid $pid, 0;

is($t->stats->{received}, length($job) + 1 + 32 + 1, 'all were received');
