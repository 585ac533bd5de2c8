#!/usr/bin/python3
"""A client that speaks HTTP/2 with prior knowledge, one command a line.

    h2.py PORT [RCVBUF]

    window N           takes N bytes of each stream, and of all, before it reads
    get PATH [N]       opens N streams, says "open" and their numbers
    reset [STREAM...]  RST_STREAM, of all open ones if none is given
    burst PATH N       N times HEADERS and RST_STREAM at once
    split PATH BODY    POSTs the body once for each place to cut it in two DATA
                       frames, the second only when the first was taken; says
                       "split" and the different answers, status and body
    answer STREAM      waits; says "answer STREAM STATUS" or "answer STREAM
                       reset", "answer STREAM closed"
    body STREAM TEXT   reads until the text is in the body, says "body STREAM" or
                       "body STREAM closed"
    goaway             GOAWAY, the connection stays
    half               FIN, still reads
    close, rst         ends the connection by FIN or RST, and the program

Every other command is answered "ok" once its bytes are sent.
"""

import socket
import struct
import sys

sys.path.pop(0)         # or this file would be the library

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


class Client:

    def __init__(self, port, rcvbuf=None):
        self.socket = socket.socket()
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.connect(('127.0.0.1', port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding='utf-8'))
        self.h2.initiate_connection()
        self.statuses = {}
        self.bodies = {}
        self.pongs = 0
        self.ended = {}
        self.open = []
        self.flush()

        while not self.h2.remote_settings.initial_window_size:
            self.read()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def read(self):
        data = self.socket.recv(65536)

        if not data:
            return False

        for event in self.h2.receive_data(data):
            stream = getattr(event, 'stream_id', None)

            if isinstance(event, h2.events.ResponseReceived):
                self.statuses[stream] = dict(event.headers)[':status']

            elif isinstance(event, h2.events.PingAckReceived):
                self.pongs += 1

            elif isinstance(event, h2.events.DataReceived):
                self.bodies[stream] = self.bodies.get(stream, b'') + event.data
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, stream)

            elif isinstance(event, h2.events.StreamEnded):
                self.ended[stream] = self.statuses.get(stream, 'none')

            elif isinstance(event, h2.events.StreamReset):
                self.ended[stream] = 'reset'

        self.open = [s for s in self.open if s not in self.ended]
        self.flush()
        return True

    def headers(self, path):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [
            (':method', 'GET'), (':scheme', 'http'),
            (':authority', 'localhost'), (':path', path),
        ], end_stream=True)
        return stream

    def get(self, path, n='1'):
        streams = [self.headers(path) for _ in range(int(n))]
        self.open += streams
        self.flush()
        return ' '.join(['open'] + [str(s) for s in streams])

    def window(self, n):
        self.h2.update_settings({
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: int(n)})
        self.h2.increment_flow_control_window(int(n))
        self.flush()
        return 'ok'

    def reset(self, *streams):
        for stream in [int(s) for s in streams] or self.open:
            self.h2.reset_stream(stream, 8)
            self.ended[stream] = 'reset'
        self.open = [s for s in self.open if s not in self.ended]
        self.flush()
        return 'ok'

    def burst(self, path, n):
        for _ in range(int(n)):
            self.h2.reset_stream(self.headers(path), 8)
        self.flush()
        return 'ok'

    def split(self, path, body):
        answers = set()

        for cut in range(len(body) + 1):
            stream = self.h2.get_next_available_stream_id()
            self.h2.send_headers(stream, [
                (':method', 'POST'), (':scheme', 'http'),
                (':authority', 'localhost'), (':path', path),
                ('content-type', 'application/json'),
            ])
            self.h2.send_data(stream, body[:cut].encode())
            self.h2.ping(b'taken???')
            self.flush()

            pongs = self.pongs
            while self.pongs == pongs:
                if not self.read():
                    return 'split closed'

            self.h2.send_data(stream, body[cut:].encode(), end_stream=True)
            self.flush()
            self.answer(str(stream))
            answers.add((self.ended[stream],
                         self.bodies.pop(stream, b'').split(b',"queue_ms"')[0]))

        return ' '.join(['split'] + [f'{status} {text.decode().strip()}'
                                     for status, text in sorted(answers)])

    def answer(self, stream):
        while int(stream) not in self.ended:
            try:
                if not self.read():
                    return f'answer {stream} closed'
            except OSError:
                return f'answer {stream} closed'
        return f'answer {stream} {self.ended[int(stream)]}'

    def body(self, stream, text):
        while text.encode() not in self.bodies.get(int(stream), b''):
            try:
                if not self.read():
                    return f'body {stream} closed'
            except OSError:
                return f'body {stream} closed'
        return f'body {stream}'

    def goaway(self):
        # by hand: the library would refuse to read afterwards
        self.socket.sendall(struct.pack('>I', 8)[1:] + b'\x07\0' + 4 * b'\0'
                            + struct.pack('>II', 0, 0))
        return 'ok'

    def half(self):
        self.socket.shutdown(socket.SHUT_WR)
        return 'ok'

    def close(self):
        self.socket.close()
        return 'ok'

    def rst(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack('ii', 1, 0))
        return self.close()


def main():
    client = Client(*map(int, sys.argv[1:]))

    for line in sys.stdin:
        words = line.split()
        try:
            print(getattr(client, words[0])(*words[1:]), flush=True)
        except (OSError, h2.exceptions.ProtocolError) as error:
            print('error', repr(error), flush=True)

        if words[0] in ('close', 'rst'):
            break


main()
