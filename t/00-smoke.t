#!/usr/bin/env perl

# A job, the status location and the books.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new(tests => 13);

$t->conf(<<'END');
%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone helix;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /helix {
            helix_status;
        }
    }
}
END

my ($code, $out) = $t->nginx_t($t->read('nginx.conf'));

is($code, 0, 'configuration is good') or diag($out);

$t->start;

my $r = $t->get('/jobs?kind=hashmix&inputs=42,100&compute_cost=1000');

is($r->status, 200, 'GET');
like($r->header('Content-Type'), qr|^application/json|, 'GET type');
is_deeply($r->json->{outputs}, ['10216004649843298165'], 'GET outputs');
is($r->json->{strategy}, 'inline', 'GET strategy');
is($r->json->{reason}, 'cheap', 'GET reason');

$r = $t->post('/jobs',
              '{"kind":"hashmix","inputs":[42,100],"compute_cost":1000}');

is($r->status, 200, 'POST');
is_deeply($r->json->{outputs}, ['10216004649843298165'], 'POST outputs');
is($r->json->{strategy}, 'inline', 'POST strategy');

my $c = $t->connect;

is($c->request('GET', '/jobs?kind=hashmix&inputs=1&compute_cost=1')->status,
   200, 'keepalive, first');
is($c->request('POST', '/jobs', '{"kind":"hashmix","inputs":[1],'
                                . '"compute_cost":1}',
               'Content-Type' => 'application/json')->status,
   200, 'keepalive, second');
$c->close;

ok($t->reload, 'reload');
is($t->get('/helix/health')->status, 200, 'health');
