#!/usr/bin/env perl

# Jobs in every form a client may send them, and every answer to one that is
# wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $form = 'application/x-www-form-urlencoded';
my $max = '18446744073709551615';
my $vector = '10216004649843298165';        # hashmix of 42,100 at cost 1000

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_batch size=8 delay=2ms;
    helix_kind montecarlo_risk max_inputs=8 max_cost=3000000;
    helix_kind primecount cost=70000 scaling=0.9;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /pin {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /kind {
            helix_pass $arg_k;
        }

        location /defaults {
            helix_pass;
            helix_job id=7 kind=hashmix inputs=42,100 cost=1000;
        }

        location /final {
            helix_pass;
            helix_job id=7 kind=hashmix inputs=42,100 cost=1000 final;
            helix_job cost=2 strategy=spawn;
        }

        location /variables {
            helix_pass;
            helix_job id=$http_x_id kind=$http_x_kind final;
            helix_job cost=$arg_declared inputs=$http_x_inputs;
            helix_job cost=1000;
            helix_job strategy=$http_x_strategy budget=$http_x_budget;
        }

        location /budget {
            helix_pass;
            helix_job budget=1ms strategy=batch;
        }

        location /long-budget {
            helix_pass;
            helix_job budget=1m strategy=batch;
        }

        location /small {
            client_max_body_size 100;
            helix_pass;
        }

        location /large {
            client_body_buffer_size 1m;
            client_body_in_single_buffer on;
            helix_pass;
        }

        location /file {
            client_body_in_file_only clean;
            helix_pass;
        }

        location /tiny {
            client_body_buffer_size 16;
            helix_pass;
        }

        location /page {
            ssi on;
        }

        location /helix {
            helix_status;
        }
    }
}
END

$t->start;

my $job = '{"id":1,"kind":"hashmix","inputs":[42,100],"compute_cost":1000}';
my $query = 'kind=hashmix&inputs=42,100&compute_cost=1000';


sub outputs {
    my ($r) = @_;

    return $r->body =~ /"outputs":\[(.*?)\]/ ? $1 : 'none';
}

sub result {
    my ($r, $name, %want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $outputs = delete $want{outputs} // $vector;
    my $got = { map { $_ => $r->json->{$_} // 'none' } keys %want };
    my @types = $r->header('Content-Type');

    $got->{$_} = "$got->{$_}" for keys %$got;

    is_deeply([$r->status, "@types", outputs($r), $got],
              [200, 'application/json', $outputs, \%want], $name)
        or diag($r->body);
}

sub problem {
    my ($r, $status, $code, $name, %want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $j = $r->json;
    my @wrong;

    push @wrong, 'status ' . $r->status if $r->status != $status;
    push @wrong, 'type ' . ($r->header('Content-Type') // 'none')
        if ($r->header('Content-Type') // '') ne 'application/problem+json';
    push @wrong, 'cached' if ($r->header('Cache-Control') // '') ne 'no-store';
    push @wrong, 'strategy' if defined $r->header('X-Helix-Strategy');
    push @wrong, 'no newline' if $r->body !~ /\}\n\z/;
    push @wrong, "member status $j->{status}" if ($j->{status} // 0) != $status;

    for my $key (qw(title code detail)) {
        push @wrong, "no $key" if !length($j->{$key} // '');
    }

    $want{code} = $code;

    for my $key (sort keys %want) {
        my $got = ref $j->{$key} eq 'ARRAY' ? join(' ', @{$j->{$key}})
                                            : $j->{$key} // 'none';
        my $want = $want{$key};

        push @wrong, "$key is $got"
            if ref $want ? $got !~ $want : $got ne $want;
    }

    ok(!@wrong, $name) or diag(join ', ', @wrong, $r->body);
}


# forms

result($t->get("/jobs?id=1&$query"), 'query',
       id => 1, kind => 'hashmix', strategy => 'inline', reason => 'cheap');
result($t->post("/jobs", "id=1&$query", $form), 'form', id => 1);
result($t->post("/jobs", "id=1&$query", "$form; charset=utf-8"),
       'form with a parameter', id => 1);
result($t->post('/jobs', $job), 'JSON', id => 1);
result($t->post('/jobs', $job, 'Application/JSON;charset=utf-8'),
       'JSON with a parameter', id => 1);
result($t->post('/jobs', $job, $form), 'JSON that curl calls a form', id => 1);
result($t->post('/jobs', " \r\n\t$job\n", $form), 'the same, with blanks',
       id => 1);
result($t->request('POST', '/jobs', $job), 'JSON without a type', id => 1);
result($t->request('POST', '/jobs', $query), 'form without a type', id => 0);
result($t->request('GET', '/jobs', $job, 'Content-Type' => 'application/json'),
       'GET with a body', id => 1);
result($t->post('/jobs?id=3&compute_cost=1000',
                '{"kind":"hashmix","inputs":[42,100]}'),
       'query and JSON together', id => 3);
result($t->post('/jobs?id=3&kind=hashmix', 'inputs=42,100&cost=1000', $form),
       'query and form together', id => 3);
result($t->post("/jobs?$query", ''), 'empty body', id => 0);

result($t->get('/jobs?kind=hashmix&inputs=42,100&cost=1000&scaling=0.5'
               . '&budget_ms=50'), 'short names in a query');
result($t->post('/jobs', '{"kind":"hashmix","inputs":[42,100],"cost":1000,'
                         . '"scaling":0.5,"budget_ms":50}'),
       'short names in JSON');
result($t->get('/jobs?kind=hashmix&inputs=42,100&compute_cost=1000'
               . '&scaling_potential=0.5&latency_budget_ms=50'), 'long names');

result($t->get("/jobs?&&$query&"), 'empty pairs');
result($t->get('/jobs?%6bind=hash%6Dix&inputs=42%2c100&cost=%31000'),
       'percent-encoding in a query');
result($t->post('/jobs', '%6bind=hash%6Dix&inputs=42%2C100&cost=1%3000',
                $form), 'percent-encoding in a form');
result($t->post('/jobs', '{"\u006bind":"hash\u006dix","inputs":["\u00342",100],'
                         . '"cost":"\u0031000","id":"\u0039"}'),
       'escapes in JSON', id => 9);

for my $name ('HashMix', 'hash_mix', 'hash-mix', 'HASHMIX', '_hash-_mix_') {
    result($t->get("/jobs?kind=$name&inputs=42,100&cost=1000"), "kind $name",
           kind => 'hashmix');
}

result($t->get('/jobs?kind=Prime-Count&inputs=1&cost=0'), 'kind Prime-Count',
       kind => 'primecount', outputs => 1229);
result($t->get('/jobs?kind=MonteCarloRisk&cost=20000&id=1'
               . '&inputs=100,200,300'), 'kind MonteCarloRisk',
       kind => 'montecarlo_risk', outputs => '-0.044513253216794044');


# 64 bit

my $edge = outputs($t->get("/jobs?kind=hashmix&inputs=$max,0&cost=64"));

is($edge, qx{echo '{"kind":"hashmix","inputs":[$max,0],"compute_cost":64}' \\
             | /usr/bin/python3 $FindBin::Bin/oracle/kinds.py} =~ s/\n//r,
   'inputs of 64 bit');

for my $id ('0', '9007199254740993', '9223372036854775807',
            '9223372036854775808', $max)
{
    my $r = $t->get("/jobs?id=$id&kind=hashmix&inputs=42,100");

    like($r->body, qr/"id":$id,/, "id $id in a query");
    is($r->header('X-Helix-Job'), $id, "id $id in the header");
    like($t->post('/jobs', qq|{"id":$id,"kind":"hashmix"}|)->body,
         qr/"id":$id,/, "id $id in JSON");
    like($t->post('/jobs', qq|{"id":"$id","kind":"hashmix"}|)->body,
         qr/"id":$id,/, "id $id quoted in JSON");
}

result($t->post('/jobs', qq|{"kind":"hashmix","inputs":["$max","0"],|
                         . '"compute_cost":"64","latency_budget_ms":"50"}'),
       'quoted integers', outputs => $edge);
result($t->post('/jobs', qq|{"kind":"hashmix","inputs":[$max,0],"cost":64}|),
       'inputs of 64 bit in JSON', outputs => $edge);

my $r = $t->get("/jobs?bigint=string&id=$max&inputs=$max,0&cost=64"
                . '&kind=hashmix');

like($r->body, qr/"id":"$max",/, 'bigint=string quotes the id');
is(outputs($r), qq|"$edge"|, 'bigint=string quotes the outputs');
like($r->body, qr/"total_ms":\d/, 'bigint=string leaves the times');
is(outputs($t->get("/jobs?bigint=number&$query")), $vector, 'bigint=number');
is(outputs($t->post('/jobs?bigint=string', $job)), qq|"$vector"|,
   'bigint=string with a body');
problem($t->get("/jobs?bigint=yes&$query"), 400, 'BadField', 'bigint=yes',
        field => 'bigint', value => 'yes', expected => 'number or string');
problem($t->post('/jobs', '{"bigint":"string"}'), 400, 'BadField',
        'bigint is of the query only', value => 'bigint');


# configuration

result($t->get('/defaults'), 'all by default', id => 7);
result($t->get('/defaults?id=8'), 'an id against a default', id => 8);
is(outputs($t->get('/defaults?inputs=42')) ne $vector, 1,
   'inputs replace those of the default');
result($t->get('/final?id=8&kind=primecount&inputs=1,x&cost=5'),
       'final wins, its fields are not read', id => 7, kind => 'hashmix',
       strategy => 'spawn', reason => 'pinned');
result($t->post('/final', '{"id":8,"kind":"primecount","inputs":[1,2]}'),
       'final wins over JSON', id => 7, kind => 'hashmix');
problem($t->get('/final?id=8&id=9'), 400, 'BadField',
        'twice is twice under final', field => 'id');
problem($t->get('/final?colour=red'), 400, 'BadField',
        'unknown under final', value => 'colour');

$r = $t->get('/jobs?kind=primecount');
is($r->json->{strategy}, 'batch', 'cost and scaling of helix_kind');
is($r->json->{batch_size}, 1, 'a batch of one');
is($t->get('/jobs?kind=primecount&cost=5')->json->{strategy}, 'inline',
   'a cost against that of helix_kind');
is($t->get('/jobs?kind=primecount&scaling=0')->json->{strategy}, 'cpu_pool',
   'a scaling against that of helix_kind');

my @headers = ('X-Kind' => 'hashmix', 'X-Inputs' => '42,100');

result($t->get('/variables?id=1&kind=primecount', 'X-Id' => 77, @headers), 'variables',
       id => 77, kind => 'hashmix');
result($t->get('/variables?declared=1000&inputs=42,100', 'X-Id' => 77,
               'X-Kind' => 'hashmix', 'X-Inputs' => '5'), 'a request against variables', id => 77);
result($t->get('/variables?kind=hashmix&inputs=42,100'),
       'empty variables are none', id => 0);
is($t->get('/variables?declared=2&kind=hashmix', @headers)->status, 200,
   'an argument that helix_job reads');
problem($t->get('/variables', @headers, 'X-Id' => 'x'), 400,
        'BadField', 'a bad variable', field => 'id');
problem($t->get('/variables', @headers, 'X-Strategy' => 'fast'), 400,
        'BadField', 'a bad strategy', field => 'strategy', value => 'fast');
problem($t->get('/variables', @headers, 'X-Budget' => 'soon'), 400,
        'BadField', 'a bad budget', field => 'latency_budget_ms');
is($t->get('/variables', @headers, 'X-Budget' => '5s')->status, 200,
   'a budget with a unit');

result($t->get('/kind?k=hash_mix&inputs=42,100&cost=1000'), 'helix_pass $arg',
       kind => 'hashmix');
result($t->get("/kind?k=&$query"), 'helix_pass with an empty value');
result($t->get("/kind?k=hashmix&kind=primecount&inputs=42,100&cost=1000"),
       'helix_pass wins', kind => 'hashmix');
problem($t->get('/kind?k=nothing'), 422, 'UnknownKind',
        'helix_pass with an unknown kind', value => 'nothing');

problem($t->get("/jobs?$query&strategy=inline"), 400, 'BadField',
        'a client cannot pin', value => 'strategy');
problem($t->post('/jobs', '{"strategy":"inline"}'), 400, 'BadField',
        'nor with JSON', value => 'strategy');

for my $strategy (qw(inline spawn cpu_pool batch)) {
    $r = $t->get("/pin?s=$strategy&$query");
    result($r, "pinned $strategy", strategy => $strategy, reason => 'pinned');
    is($r->header('X-Helix-Strategy'), $strategy, "header of $strategy");
    is($r->header('X-Helix-Reason'), undef, "no reason of $strategy");
    is($r->header('Cache-Control'), 'no-store', "no-store of $strategy");

    my $j = $r->json;
    cmp_ok($j->{total_ms} + 0.002, '>=', $j->{queue_ms} + $j->{exec_ms},
           "times of $strategy");
}

$r = $t->get("/pin?s=drop&id=5&$query");

is($r->status, 503, 'pinned drop');
is($r->json->{code}, 'Rejected', 'code of a drop');
is($r->json->{reason}, 'pinned', 'reason of a drop');
is($r->header('X-Helix-Reason'), 'pinned', 'reason in the header');
is($r->header('X-Helix-Strategy'), 'drop', 'strategy in the header');
is($r->header('X-Helix-Job'), 5, 'id in the header');
is($r->header('Content-Type'), 'application/problem+json', 'type of a drop');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'Retry-After of a drop');
is($r->header('Retry-After'), int(($r->json->{retry_after_ms} + 999) / 1000),
   'Retry-After is retry_after_ms rounded up');
like($r->json->{detail}, qr/safe to try again/, 'detail of a drop');


# budgets can only be shortened: a batch takes 2 ms

sub late {
    my ($path) = @_;

    my $before = $t->stats->{late};

    is($t->get($path)->status, 200, "$path runs");

    return $t->stats->{late} - $before;
}

is(late("/budget?$query"), 1, 'late with the budget of helix_job');
is(late("/budget?$query&budget_ms=60000"), 1, 'a client cannot have more');
is(late("/long-budget?$query"), 0, 'not late');
is(late("/long-budget?$query&budget_ms=1"), 1, 'a client can have less');


# unknown fields

for (['kidn=hashmix', 'kidn', 'kind'], ['input=1', 'input', 'inputs'],
     ['compute-cost=1', 'compute-cost', 'compute_cost'],
     ['colour=red', 'colour', 'none'], ['Kind=hashmix', 'Kind', 'kind'],
     ['kind', 'kind', undef], ['%00=1', "\0", 'none'], ['=1', '', 'none'])
{
    my ($pair, $name, $near) = @$_;

    next if !defined $near;

    problem($t->get("/jobs?$pair"), 400, 'BadField', "query $pair",
            value => $name, did_you_mean => $near);
    problem($t->post('/jobs', $pair, $form), 400, 'BadField', "form $pair",
            value => $name, did_you_mean => $near);
}

problem($t->post('/jobs', '{"kidn":"hashmix"}'), 400, 'BadField', 'JSON kidn',
        value => 'kidn', did_you_mean => 'kind');
problem($t->post('/jobs', '{"k' . 'x' x 200 . '":1}'), 400, 'BadField',
        'a long name', value => qr/^kx{63}$/);
problem($t->post('/jobs', '{"":1}'), 400, 'BadField', 'an empty name',
        value => '');


# twice

problem($t->get('/jobs?kind=hashmix&kind=hashmix'), 400, 'BadField',
        'twice in a query', field => 'kind', detail => qr/twice/);
problem($t->get('/jobs?kind=hashmix&cost=1&compute_cost=1'), 400, 'BadField',
        'twice by two names', field => 'compute_cost', detail => qr/twice/);
problem($t->post('/jobs', 'id=1&id=1', $form), 400, 'BadField',
        'twice in a form', field => 'id', detail => qr/twice/);
problem($t->post('/jobs', '{"id":1,"\u0069d":1}'), 400, 'BadField',
        'twice in JSON', field => 'id', detail => qr/twice/);
problem($t->post('/jobs?inputs=1', '{"inputs":[1]}'), 400, 'BadField',
        'in query and JSON', field => 'inputs', detail => qr/twice/);
problem($t->post('/jobs?inputs=1', 'inputs=1', $form), 400, 'BadField',
        'in query and form', field => 'inputs', detail => qr/twice/);


# kinds

problem($t->get('/jobs'), 400, 'BadField', 'nothing', field => 'kind',
        known => 'hashmix primecount montecarlo_risk',
        detail => qr{curl 'http://localhost/jobs\?kind=hashmix&inputs=42,100'});
problem($t->get('/jobs%0a%27%01/x?inputs=1'), 400, 'BadField',
        'nothing of a strange path', field => 'kind',
        detail => qr{http://localhost/jobs%0a%27%01/x\?kind});
problem($t->get('/jobs?kind=hashmx'), 422, 'UnknownKind', 'a kind misspelt',
        value => 'hashmx', did_you_mean => 'hashmix', field => 'kind',
        known => 'hashmix primecount montecarlo_risk');
problem($t->get('/jobs?kind=image'), 422, 'UnknownKind', 'no such kind',
        value => 'image', did_you_mean => 'none');
problem($t->get('/jobs?kind='), 422, 'UnknownKind', 'an empty kind',
        value => '');
problem($t->get('/jobs?kind=%3cscript%3e%00%0a'), 422, 'UnknownKind',
        'a hostile kind', value => "<script>\0\n");
problem($t->post('/jobs', '{"kind":"' . 'x' x 1000 . '"}'), 422,
        'UnknownKind', 'a long kind', value => 'x' x 64);
problem($t->post('/jobs', 'kind=%ff%fe', $form), 422, 'UnknownKind',
        'a kind that is not UTF-8', value => "\x{fffd}\x{fffd}");


# values

for my $field (qw(id compute_cost inputs latency_budget_ms)) {
    for my $value ('18446744073709551616', '-1', '1.0', '1e3', '0x10', '%2B1',
                   '+1', '1+', '', 'NaN', 'Infinity', '1_000', "1%00",
                   '340282366920938463463374607431768211456')
    {
        next if $field eq 'inputs' && $value eq '';

        problem($t->get("/jobs?kind=hashmix&$field=$value"), 400, 'BadField',
                "$field=$value", field => $field);
    }

    for my $value ('-1', '18446744073709551616', '1.5', '1e3', '-0', 'null',
                   'true', '{}', '[[1]]', '"1.5"', '" 1"', '""', '[{}]',
                   '[null]', '["x"]')
    {
        problem($t->post('/jobs', qq|{"kind":"hashmix","$field":$value}|), 400,
                'BadField', "$field: $value", field => $field);
    }
}

for my $value ('-0.1', '1.1', 'nan', 'inf', '1e400', '0x1p-1', '0,5', '.', '',
               '1e', '--1')
{
    problem($t->get("/jobs?kind=hashmix&scaling=$value"), 400, 'BadField',
            "scaling=$value", field => 'scaling_potential',
            expected => 'a number from 0 to 1');
}

for my $value ('-1', '2', '1e400', '"0.5"', 'null', '[]') {
    problem($t->post('/jobs', qq|{"kind":"hashmix","scaling":$value}|), 400,
            'BadField', "scaling: $value", field => 'scaling_potential');
}

for my $value (0, 1, '0.0', '1.0', '1e-400', '5e-1', '-0') {
    is($t->get("/jobs?kind=hashmix&scaling=$value")->status, 200,
       "scaling=$value is good");
}

problem($t->get('/jobs?kind=hashmix&budget_ms=0'), 400, 'BadField',
        'no budget', field => 'latency_budget_ms');
problem($t->get('/jobs?kind=hashmix&budget_ms=86400001'), 400, 'BadField',
        'a budget of more than a day', field => 'latency_budget_ms');
is($t->get('/jobs?kind=hashmix&budget_ms=86400000')->status, 200, 'of a day');
problem($t->get('/jobs?kind=hashmix&inputs=1,,2'), 400, 'BadField', 'a gap',
        field => 'inputs', value => '');
problem($t->get('/jobs?kind=hashmix&inputs=1,2,'), 400, 'BadField',
        'a comma at the end', field => 'inputs');
problem($t->post('/jobs', 'id=' . '9' x 100000, $form), 400, 'BadField',
        'a number of 100000 digits', field => 'id', value => '9' x 64);
problem($t->post('/jobs', '{"kind":7}'), 400, 'BadField', 'a kind of 7',
        field => 'kind', value => 7);
problem($t->post('/jobs', '{"kind":["hashmix"]}'), 400, 'BadField',
        'a list of kinds', field => 'kind');
problem($t->post('/jobs', '{"kind":"hashmix","inputs":"1,2"}'), 400,
        'BadField', 'inputs as a string', field => 'inputs');

is($t->get('/jobs?kind=hashmix&inputs=')->status, 200, 'empty inputs');
is($t->post('/jobs', '{"kind":"hashmix","inputs":[]}')->status, 200,
   'empty inputs in JSON');

for my $bad ('kind=%', 'kind=%4', 'kind=%zz', 'kind=%4g', '%=1', 'kind=a%') {
    problem($t->get("/jobs?$bad"), 400, 'BadField', "query $bad",
            detail => qr/two hexadecimal digits/);
    problem($t->post('/jobs', $bad, $form), 400, 'BadField', "form $bad",
            detail => qr/two hexadecimal digits/);
}


# too much

problem($t->get('/jobs?kind=montecarlo_risk&inputs=1,2,3,4,5,6,7,8,9'), 413,
        'TooLarge', 'more inputs than max_inputs', field => 'inputs',
        limit => 8);
is($t->get('/jobs?kind=montecarlo_risk&inputs=1,2,3,4,5,6,7,8')->status, 200,
   'as many inputs as max_inputs');
problem($t->post('/jobs', '{"kind":"hashmix","inputs":['
                          . join(',', 1 .. 4097) . ']}'), 413, 'TooLarge',
        'more inputs than any kind may have', field => 'inputs',
        limit => 4096);
is($t->post('/jobs', '{"kind":"hashmix","inputs":[' . join(',', 1 .. 4096)
                     . ']}')->status, 200, 'as many inputs as by default');
is($t->post('/jobs', 'kind=hashmix&inputs=' . join(',', 1 .. 4096),
            $form)->status, 200, 'the same in a form');
problem($t->post('/jobs', 'kind=hashmix&inputs=' . join(',', 1 .. 4097),
                 $form), 413, 'TooLarge', 'one more in a form',
        field => 'inputs', limit => 4096);
problem($t->get('/jobs?kind=hashmix&cost=1000000000000'), 413, 'TooLarge',
        'more than max_cost', field => 'compute_cost', limit => 54000000000);
problem($t->get("/jobs?kind=hashmix&cost=$max"), 413, 'TooLarge',
        'the largest cost', field => 'compute_cost');
problem($t->get('/jobs?kind=montecarlo_risk&cost=10000000000'), 413,
        'TooLarge', 'more than max_cost of helix_kind', limit => 3000000);
is($t->get("/jobs?kind=primecount&scaling=1&cost=$max")->status, 200,
   'a cost that is only declared');
problem($t->get("/pin?s=inline&kind=hashmix&cost=$max"), 413, 'TooLarge',
        'pinned or not', field => 'compute_cost');

# and as much as the parameters of montecarlo_risk may have

my $padded = $job . ' ' x (65536 + 4096 * 24 + 5 * 65536 + 2 * 16
                           - length $job);

for my $path (qw(/jobs /file /tiny /large)) {
    result($t->post($path, $padded), "the largest body in $path", id => 1);
    problem($t->post($path, "$padded "), 413, 'TooLarge',
            "one byte more in $path", limit => 491552);
}

$r = $t->post('/small', $job . ' ' x 100);

is($r->status, 413, 'client_max_body_size');
like($r->body, qr/<title>413/, "is nginx's own");
result($t->post('/small', $job), 'less than client_max_body_size');

problem($t->post('/jobs', '{"kind":"hashmix","id":' . '[' x 20), 400,
        'BadField', 'a list for an id', field => 'id');
problem($t->post('/jobs', '{' x 20), 400, 'BadJson', 'nested');


# media types

for my $type ('text/plain', 'application/jsonp', 'application/xml',
              'multipart/form-data; boundary=x', 'application/x-www-form-urlen',
              'application/x-www-form-urlencoded2', 'json')
{
    problem($t->post('/jobs', $job, $type), 415, 'MediaType', $type,
            value => $type, expected => 'application/json or '
                                        . 'application/x-www-form-urlencoded');
}

result($t->post("/jobs?$query", '', 'text/plain'), 'no body, any type');


# methods

for my $method (qw(PUT DELETE PATCH OPTIONS)) {
    $r = $t->request($method, "/jobs?$query");
    problem($r, 405, 'MethodNotAllowed', $method);
    is($r->header('Allow'), 'GET, HEAD, POST', "Allow of $method");
}

$r = $t->request('PUT', '/jobs', $job);
problem($r, 405, 'MethodNotAllowed', 'PUT with a body');

my $c = $t->connect;

$r = $c->request('HEAD', "/jobs?id=4&$query");
is($r->status, 200, 'HEAD');
is($r->header('X-Helix-Job'), 4, 'HEAD has the headers');
cmp_ok($r->header('Content-Length'), '>', 0, 'HEAD has the length');
is($c->request('HEAD', '/jobs?kind=x')->status, 422, 'HEAD of a problem');
is($c->request('HEAD', "/pin?s=cpu_pool&$query")->status, 200,
   'HEAD from the pool');
is($c->request('HEAD', '/jobs', $job,
               'Content-Type' => 'application/json')->status, 200,
   'HEAD with a body');
result($c->request('GET', "/jobs?$query"), 'nothing was left behind');


# bodies on their way

for my $method (qw(POST PUT)) {
    $c = $t->connect;
    $c->send("$method /jobs HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
             . "Content-Type: application/json\r\nContent-Length: "
             . length($job) . "\r\n\r\n");

    $r = $c->recv(interim => 1);

    if ($method eq 'POST') {
        is($r->status, 100, 'Expect: 100-continue');
        $c->send($job);
        result($c->recv, 'and the job', id => 1);

    } else {
        $r = $c->recv if $r->status == 100;
        is($r->status, 405, 'Expect: 100-continue and 405');
    }
}

sub chunked {
    my ($body, $size, $type) = @_;

    my $text = "POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"
               . "\r\nContent-Type: " . ($type // 'application/json')
               . "\r\n\r\n";

    for (my $i = 0; $i < length $body; $i += $size) {
        my $piece = substr $body, $i, $size;

        $text .= sprintf "%x;a=b\r\n%s\r\n", length $piece, $piece;
    }

    return $text . "0\r\nX-Trailer: a\r\n\r\n";
}

$c = $t->connect;

for my $size (1, 2, 7, 1000) {
    $c->send(chunked($job, $size));
    result($c->recv, "chunks of $size", id => 1);
}

$c->send(chunked("id=1&$query", 3, $form));
result($c->recv, 'a form in chunks', id => 1);
$c->send(chunked($padded, 1000));
result($c->recv, 'a large body in chunks', id => 1);
$c->send(chunked("$padded ", 5000));
problem($c->recv, 413, 'TooLarge', 'a larger body in chunks');

my ($good, $all) = (0, 0);

for my $path (qw(/jobs /file /tiny)) {
    my $head = "POST $path HTTP/1.1\r\nHost: a\r\nContent-Type: "
               . "application/json\r\nContent-Length: " . length($job)
               . "\r\n\r\n";

    $c = $t->connect;

    for my $at (0 .. length $job) {
        $c->send($head . substr $job, 0, $at);
        $c->send(substr $job, $at);
        $r = $c->recv;

        $all++;
        $good++ if $r && $r->status == 200 && outputs($r) eq $vector;
    }

    $c->send($_) for split //, $head . $job;
    result($c->recv, "byte for byte to $path", id => 1);
}

is($good, $all, "in two pieces, split at every byte: $all times");

$c = $t->connect;
$c->send($_) for split //, chunked($job, 5);
result($c->recv, 'chunks, byte for byte', id => 1);

# with the second half of the body in a buffer of its own

my $long = '{"kind":"hashmix","inputs":[' . ' ' x 5000 . '42,'
           . ' ' x 2000 . '100],"cost":1000}';
my $at = 2000;

$c = $t->connect;
$c->send("POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
         . 'Content-Length: ' . length($long) . "\r\n\r\n"
         . substr $long, 0, $at);
$c->send(substr $long, $at);
result($c->recv, 'a body in two buffers');

for my $path (qw(/file /tiny /large)) {
    result($t->post($path, $long), "a long body to $path");
}

is_deeply([glob $t->dir . '/client_body_temp/*'], [], 'no file is left');


# JSON

for my $condition ('If-Match', 'If-Unmodified-Since', 'If-None-Match') {
    my @headers = ($condition => $condition =~ /Since/
                   ? 'Thu, 01 Jan 1970 00:00:00 GMT' : '"x"');

    for my $path ('/jobs?kind=hashmix&inputs=1', '/helix/api/stats',
                  '/helix/health', '/helix/metrics', '/helix/api/config',
                  '/helix/api/decisions')
    {
        is($t->get($path, @headers)->status, 200, "$condition: $path");
    }
}

my @accept = (
    '{"kind":"hashmix"}', ' { "kind" : "hashmix" } ',
    "\t\r\n{\n\"kind\"\n:\n\"hashmix\"\n,\"id\":0}\n",
    '{"kind":"hash\u006dix"}', '{"\u006b\u0069nd":"hashmix"}',
    '{"kind":"hashmix","inputs":[]}', '{"kind":"hashmix","inputs":[ ]}',
    '{"kind":"hashmix","inputs":[ 1 , 2 ]}',
    "{\"kind\":\"hashmix\",\"inputs\":[$max,\"$max\"]}",
    '{"kind":"hashmix","scaling":1}', '{"kind":"hashmix","scaling":0.5e0}',
    '{"kind":"hashmix","scaling":1E-2}', '{"kind":"hashmix","scaling":-0.0}',
    '{"inputs":[1],"kind":"hashmix"}',
);

for my $text (@accept) {
    is($t->post('/jobs', $text)->status, 200, "accepted: $text");
}

# [text, where the error is, what it is]

my @reject = (
    [' ', 1, 'unexpected end'], ['{', 1, 'unexpected end'],
    ['{"kind"', 7, 'unexpected end'], ['{"kind":', 8, 'unexpected end'],
    ['{"kind":"hashmix"', 17, 'unexpected end'],
    ['{"kind":"hashmix",', 18, 'unexpected end'],
    ['{"kind":"hashmix', 16, 'unexpected end'],
    ['{"id":-', 7, 'unexpected end'], ['{"inputs":[', 11, 'unexpected end'],
    ['{"inputs":[1', 12, 'unexpected end'],
    ['{"inputs":[1,', 13, 'unexpected end'],
    ['{"kind":"hashmix",}', 18, 'expected a quoted name'],
    ['{,}', 1, 'expected a quoted name'], ['{]', 1, 'expected a quoted name'],
    ['{kind:"hashmix"}', 1, 'expected a quoted name'],
    ["{'kind':1}", 1, 'expected a quoted name'],
    ['{"kind" "hashmix"}', 8, "expected ':'"], ['{"kind"}', 7, "expected ':'"],
    ['{"kind","id"}', 7, "expected ':'"],
    ['{"kind":}', 8, 'expected a value'], ['{"kind"::1}', 8, 'expected a value'],
    ['{"id":+1}', 6, 'expected a value'], ['{"id":.5}', 6, 'expected a value'],
    ['{"id":NaN}', 6, 'expected a value'],
    ['{"id":Infinity}', 6, 'expected a value'],
    ['{"id":-x}', 7, 'expected a digit'], ['{"id":1.}', 8, 'expected a digit'],
    ['{"id":1e}', 8, 'expected a digit'],
    ['{"id":01}', 7, 'digit after a leading zero'],
    ['{"id":0x1}', 7, "expected ',' or '}'"],
    ['{"id":1 "kind":"hashmix"}', 8, "expected ',' or '}'"],
    ['{"id":1]', 7, "expected ',' or '}'"],
    ['{"id":1;}', 7, "expected ',' or '}'"],
    ['{"id":' . '1' x 400 . '}', undef, 'number too long'],
    ['{"id":truE}', 9, 'unknown word'], ['{"id":nul}', 9, 'unknown word'],
    ['{"inputs":[1 2]}', 13, "expected ',' or ']'"],
    ['{"inputs":[1,]}', 13, 'expected a value'],
    ['{"inputs":[,1]}', 11, 'expected a value'],
    ['{"inputs":[1}', 12, "expected ',' or ']'"],
    ['{"kind":"hashmix"}x', 18, 'text after the value'],
    ['{"kind":"hashmix"}{}', 18, 'text after the value'],
    ["{\"kind\":\"hashmix\"}\0", 18, 'text after the value'],
    ['{"kind":"hash\x"}', 14, 'unknown escape'],
    ['{"kind":"hash\u12"}', 17, 'expected four hex digits'],
    ['{"kind":"\ud800"}', 9, 'lone surrogate'],
    ['{"kind":"\udc00"}', 9, 'lone surrogate'],
    ['{"kind":"\ud800\u0041"}', 9, 'lone surrogate'],
    ["{\"kind\":\"a\nb\"}", 10, 'control character in a string'],
    ["{\"kind\":\"a\0b\"}", 10, 'control character in a string'],
    ["{\"kind\":\"\xff\"}", 9, 'invalid UTF-8'],
    ["{\"kind\":\"\xc0\x80\"}", 9, 'invalid UTF-8'],
    ["{\"kind\":\"\xed\xa0\x80\"}", 9, 'invalid UTF-8'],
    ["{\"kind\":\"\xf4\x90\x80\x80\"}", 9, 'invalid UTF-8'],
    ["\xef\xbb\xbf{\"kind\":\"hashmix\"}", 0, 'byte order mark'],
    ['// a' . "\n{}", 0, 'expected a value'],
    ['{/**/}', 1, 'expected a quoted name'],
    ['[]', 0, 'a job is an object'], [' [{}]', 1, 'a job is an object'],
    ['1', 0, 'a job is an object'], ['"kind"', 0, 'a job is an object'],
    ['null', 0, 'a job is an object'],
);

for (@reject) {
    my ($text, $at, $error) = @$_;
    my $offset = $at // qr/^\d+$/;
    (my $name = substr $text, 0, 40) =~ s/[^ -~]/?/g;

    problem($t->post('/jobs', $text), 400, 'BadJson', "rejected: $name",
            offset => $offset, detail => qr/^\Q$error\E at line \d+, column/);
}

problem($t->post('/jobs', "{\n  \"kind\": \"hashmix\",\n  \"id\": 1 2\n}"), 400,
        'BadJson', 'line, column and what is there', offset => 33,
        near => "2\n}", detail => "expected ',' or '}' at line 3, column 11");
problem($t->post('/jobs', '{"id":x' . 'y' x 100), 400, 'BadJson',
        'not much of what is there', near => 'x' . 'y' x 15);
problem($t->post('/jobs', "{\"id\":\xe2\x82\xac" . "\xe2\x82\xac" x 9), 400,
        'BadJson', 'half a character', near => qr/^\x{20ac}+\x{fffd}?$/);


# subrequests

$t->write('page.html', join "\n", map {
    qq|$_ <!--# include virtual="/pin?s=$_&$query" -->|
} qw(inline spawn cpu_pool batch drop inline batch cpu_pool spawn));

for my $n (1 .. 3) {
    $r = $t->get('/page.html');

    is($r->status, 200, 'a page of jobs');

    my @got = $r->body =~ /^(\w+) .*?"strategy":"(\w+)".*?"outputs":\[(\d+)\]/mg;

    is("@got", join(' ', map { "$_ $_ $vector" }
                         qw(inline spawn cpu_pool batch inline batch cpu_pool
                            spawn)), 'every job in its place');
    like($r->body, qr/^drop .*"code":"Rejected".*"reason":"pinned"/m,
         'and the problem of one');
}

is($t->get("/jobs?$query")->status, 200, 'after all this');
