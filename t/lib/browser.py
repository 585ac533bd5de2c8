"""Headless Chromium over the pipe of its DevTools protocol; stdlib only."""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time


class Error(Exception):
    pass


def find():
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    """One process; pages are targets of their own."""

    def __init__(self, *options):
        self.home = tempfile.mkdtemp(prefix='helix-browser-')
        self.number = 0
        self.buffer = b''
        self.pages = {}

        read, child_write = os.pipe()
        child_read, write = os.pipe()

        args = [find(), '--headless=new', '--remote-debugging-pipe',
                '--no-first-run', '--disable-gpu', '--disable-dev-shm-usage',
                '--disable-extensions', '--disable-background-networking',
                '--disable-component-update', '--disable-sync',
                '--no-proxy-server', '--hide-scrollbars',
                '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, '
                'EXCLUDE localhost',
                '--user-data-dir=' + self.home, *options]

        if os.geteuid() == 0:
            args.append('--no-sandbox')

        def wire():
            a, b = os.dup(child_read), os.dup(child_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(3, 4), preexec_fn=wire,
            start_new_session=True, env={**os.environ, 'HOME': self.home})

        os.close(child_read)
        os.close(child_write)
        self.read, self.write = read, write

    def close(self):
        try:
            self.call('Browser.close', timeout=5)
            self.process.wait(5)
        except (Error, subprocess.TimeoutExpired, OSError):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def call(self, method, params=None, session=None, timeout=20):
        self.number += 1
        number = self.number
        message = {'id': number, 'method': method, 'params': params or {}}
        if session:
            message['sessionId'] = session
        os.write(self.write, json.dumps(message).encode() + b'\0')
        end = time.time() + timeout
        while True:
            answer = self.receive(end - time.time())
            if answer is None:
                raise Error(method + ': no answer')
            if answer.get('id') == number:
                if 'error' in answer:
                    raise Error(method + ': ' + answer['error']['message'])
                return answer['result']

    def receive(self, seconds):
        """A message, or None; events go to their page."""
        end = time.time() + max(seconds, 0)
        while b'\0' not in self.buffer:
            left = max(end - time.time(), 0)
            if not select.select([self.read], [], [], left)[0]:
                return None
            data = os.read(self.read, 1 << 16)
            if not data:
                raise Error('the browser has gone')
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(line)
        page = self.pages.get(message.get('sessionId'))
        if page and 'method' in message:
            page.event(message['method'], message['params'])
        return message

    def page(self, width=1280, height=800, script=True, scheme='dark',
             motion='no-preference'):
        return Page(self, width, height, script, scheme, motion)


class Page:
    """What was seen: .requests (URLs), .trouble (what should not be)."""

    def __init__(self, browser, width, height, script, scheme, motion):
        self.browser = browser
        self.requests = []
        self.trouble = []
        self.loaded = False
        # of its own: nothing is remembered from another page
        context = browser.call('Target.createBrowserContext')
        target = browser.call('Target.createTarget',
                              {'url': 'about:blank', 'browserContextId':
                               context['browserContextId']})
        self.target = target['targetId']
        self.session = browser.call('Target.attachToTarget',
                                    {'targetId': self.target,
                                     'flatten': True})['sessionId']
        browser.pages[self.session] = self
        for domain in ('Page', 'Runtime', 'Log', 'Network', 'Audits'):
            self.call(domain + '.enable')
        self.size(width, height)
        self.call('Emulation.setEmulatedMedia', {'features': [
            {'name': 'prefers-color-scheme', 'value': scheme},
            {'name': 'prefers-reduced-motion', 'value': motion}]})
        if not script:
            self.call('Emulation.setScriptExecutionDisabled', {'value': True})

    def call(self, method, params=None):
        return self.browser.call(method, params, self.session)

    def size(self, width, height, scale=1):
        self.call('Emulation.setDeviceMetricsOverride',
                  {'width': width, 'height': height,
                   'deviceScaleFactor': scale, 'mobile': False})

    def event(self, method, params):
        if method == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'])
        elif method == 'Page.loadEventFired':
            self.loaded = True
        elif method == 'Runtime.exceptionThrown':
            details = params['exceptionDetails']
            self.trouble.append(details.get('exception', {}).get(
                'description', details['text']))
        elif method == 'Runtime.consoleAPICalled':
            if params['type'] in ('error', 'warning', 'assert'):
                self.trouble.append('console.%s: %s' % (
                    params['type'], [a.get('value') for a in params['args']]))
        elif method == 'Log.entryAdded':
            entry = params['entry']
            if entry['level'] in ('error', 'warning'):
                self.trouble.append('%s: %s %s' % (
                    entry['source'], entry['text'], entry.get('url', '')))
        elif method == 'Audits.issueAdded':
            code = params['issue']['code']
            if code == 'ContentSecurityPolicyIssue':
                self.trouble.append(json.dumps(params['issue']['details']))

    def open(self, url):
        self.loaded = False
        self.call('Page.navigate', {'url': url})
        self.until(lambda: self.loaded, 'the page to load')

    def pump(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            self.browser.receive(end - time.time())

    def until(self, done, what, seconds=15):
        end = time.time() + seconds
        while not done():
            if time.time() > end:
                raise Error('waited in vain for ' + what)
            self.browser.receive(0.05)

    def eval(self, code):
        """The value of an expression; promises are waited for."""
        answer = self.call('Runtime.evaluate',
                           {'expression': code, 'awaitPromise': True,
                            'returnByValue': True, 'userGesture': True})
        if 'exceptionDetails' in answer:
            details = answer['exceptionDetails']
            raise Error(details.get('exception', {}).get(
                'description', details['text']))
        return answer['result'].get('value')

    def key(self, key, **more):
        text = {'text': key} if len(key) == 1 else {}
        code = {'Tab': 9, 'Enter': 13, 'Escape': 27}.get(key)
        code = {'windowsVirtualKeyCode': code} if code else {}
        if key == 'Enter':
            text = {'text': '\r'}
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent',
                      {'type': kind, 'key': key, **code,
                       **(text if kind == 'keyDown' else {}), **more})

    def shot(self, full=False):
        import base64
        params = {'format': 'png'}
        if full:
            box = self.call('Page.getLayoutMetrics')['cssContentSize']
            params.update(captureBeyondViewport=True, clip={
                'x': 0, 'y': 0, 'width': box['width'],
                'height': box['height'], 'scale': 1})
        return base64.b64decode(self.call('Page.captureScreenshot',
                                          params)['data'])

    def close(self):
        self.browser.call('Target.closeTarget', {'targetId': self.target})
        self.browser.pages.pop(self.session, None)
