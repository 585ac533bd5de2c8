package HelixStream;

# One reader of the stream of decisions, over HTTP/1.0 so that the body has no
# chunks.  Events are kept in {events}: { name, data (decoded), id }.

use strict;
use warnings;

use IO::Select;
use JSON::PP ();
use Time::HiRes ();

use Helix;

my $json = JSON::PP->new->utf8->allow_bignum;


sub new {
    my ($class, $t, $args, @headers) = @_;

    return $class->at($t, 0, '/helix', $args, @headers);
}


sub at {
    my ($class, $t, $port, $location, $args, @headers) = @_;

    my $head = join '', map { "$_\r\n" } @headers;
    my $path = "$location/api/stream/decisions"
               . (defined $args ? "?$args" : '');

    return $class->with($t, "GET $path HTTP/1.0\r\nHost: localhost\r\n"
                            . "$head\r\n", $port);
}


# By these bytes.

sub with {
    my ($class, $t, $bytes, $port) = @_;

    my $self = bless { t => $t, buffer => '', events => [], open => 1 },
               $class;

    $self->{connection} = $t->connect($port // 0);
    $self->{socket} = $self->{connection}->socket;
    $self->{connection}->send($bytes);

    $self->_until(sub {
        $self->{buffer} =~ s/\A(.*?\r\n)\r\n//s and $self->{head} = $1;
    });

    return $self;
}


# What the socket has, once.

sub _read {
    my ($self, $seconds) = @_;

    IO::Select->new($self->{socket})->can_read($seconds) or return 1;

    my $n = sysread $self->{socket}, $self->{buffer}, 1 << 20,
                    length $self->{buffer};

    return 1 if $n || (!defined $n && $!{EAGAIN});

    $self->{open} = 0;

    return 0;
}


sub _until {
    my ($self, $done, $seconds) = @_;

    my $end = Time::HiRes::time() + ($seconds // 10) * Helix::SLOW;

    for ( ;; ) {
        return 1 if $done->();
        return 0 if !$self->{open} || Time::HiRes::time() > $end;

        $self->_read(0.02);
    }
}


sub _parse {
    my ($self) = @_;

    while ($self->{buffer} =~ s/\A(.*?)\n\n//s) {
        my %event = (name => '', text => "$1\n");

        for my $line (split /\n/, $1) {
            $event{name} = $1 if $line =~ /^event: (.*)/;
            $event{json} = $1 if $line =~ /^data: (.*)/;
            $event{id} = $self->{id} = $1 if $line =~ /^id: (.*)/;
            $event{comment} = 1 if $line =~ /^:/;
        }

        $event{data} = $json->decode($event{json})
            if defined $event{json};

        push @{$self->{events}}, \%event;
    }
}


# Reads on until $done->() is true, the end of the stream, or the time.

sub wait {
    my ($self, $done, $seconds) = @_;

    return $self->_until(sub { $self->_parse; $done->($self) }, $seconds);
}


sub named {
    my ($self, $name) = @_;

    return map { $_->{data} } grep { defined $_->{data} && $_->{name} eq $name }
               @{$self->{events}};
}


# Until there are so many events of the name.

sub want {
    my ($self, $name, $n, $seconds) = @_;

    $self->wait(sub { $self->named($name) >= $n }, $seconds);

    return $self->named($name);
}


sub ends {
    my ($self, $seconds) = @_;

    $self->wait(sub { 0 }, $seconds) if $self->{open};

    return !$self->{open};
}


sub status { ($_[0]{head} // '') =~ m{^HTTP/1\.\d (\d+)} ? $1 : 0 }
sub header { ($_[0]{head} // '') =~ /^\Q$_[1]\E: (.*)\r$/mi ? $1 : undef }
sub id { $_[0]{id} }
sub bye { (($_[0]->named('bye'))[0] // {})->{why} // '' }

sub close { $_[0]{connection}->close }


1;
