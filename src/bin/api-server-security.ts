/** Who may use an API server run alone, and what it remembers of them: upstream's flags. */
import { type Command, Option } from 'commander';
import { count, duration, truth, words } from './flag-values.ts';

export function addSecurityFlags(command: Command): Command {
  return command
    .option('--anonymous-auth [boolean]', 'whether requests may come without any proof', truth)
    .option('--api-audiences <list>', 'whom tokens must be meant for; the issuer when absent', words)
    .option('--authentication-config <file>', 'AuthenticationConfiguration: issuers of ID tokens, paths without proof; read again when it changes')
    .option('--enable-bootstrap-token-auth [boolean]', 'bootstrap tokens prove who one is', truth, false)
    .option('--requestheader-client-ca-file <file>', 'authorities of proxies that authenticate users by themselves')
    .option('--requestheader-allowed-names <list>', 'common names of these proxies; any when absent', words, [])
    .option('--requestheader-username-headers <list>', 'where they say who it is', words, ['X-Remote-User'])
    .option('--requestheader-uid-headers <list>', 'where they say the uid', words, ['X-Remote-Uid'])
    .option('--requestheader-group-headers <list>', 'where they say the groups', words, ['X-Remote-Group'])
    .option('--requestheader-extra-headers-prefix <list>', 'how headers with more begin', words, ['X-Remote-Extra-'])
    .option('--oidc-issuer-url <url>', 'an OpenID Connect issuer whose ID tokens are taken')
    .option('--oidc-client-id <id>', 'the audience its tokens must have')
    .option('--oidc-ca-file <file>', 'authorities of the issuer')
    .option('--oidc-username-claim <claim>', 'which claim is the user', 'sub')
    .option('--oidc-username-prefix <prefix>', 'put before the user; - for none')
    .option('--oidc-groups-claim <claim>', 'which claim lists the groups')
    .option('--oidc-groups-prefix <prefix>', 'put before each group')
    .option('--oidc-required-claim <key=value>', 'a claim that must be so; may be repeated', pairs, {})
    .option('--oidc-signing-algs <list>', 'signatures taken', words, ['RS256'])
    .option('--authentication-token-webhook-config-file <file>', 'kubeconfig of a server that knows more tokens')
    .option('--authentication-token-webhook-cache-ttl <duration>', 'how long its answers hold', duration, 120_000)
    .addOption(webhookVersion('--authentication-token-webhook-version <version>'))
    .option('--authorization-config <file>', 'AuthorizationConfiguration: who decides, in order; read again when it changes')
    .option('--authorization-mode <list>', 'who decides, in order: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny (Node,RBAC)', words)
    .option('--authorization-webhook-config-file <file>', 'kubeconfig of the server that mode Webhook asks')
    .option('--authorization-webhook-cache-authorized-ttl <duration>', 'how long a yes holds', duration, 300_000)
    .option('--authorization-webhook-cache-unauthorized-ttl <duration>', 'how long a no holds', duration, 30_000)
    .addOption(webhookVersion('--authorization-webhook-version <version>'))
    .option('--audit-policy-file <file>', 'how much of which request is written down')
    .option('--audit-log-path <file>', 'where; - is the standard output')
    .option('--audit-log-maxsize <megabytes>', 'the file is put aside at this size', count, 100)
    .option('--audit-log-maxbackup <count>', 'how many old files stay; all when absent', count, 0)
    .option('--audit-log-maxage <days>', 'how old they may get; any age when absent', count, 0)
    .addOption(new Option('--audit-log-format <format>', 'a line of JSON for each event').choices(['json']).default('json'))
    .option('--audit-webhook-config-file <file>', 'kubeconfig of a server that events are sent to')
    .addOption(new Option('--audit-webhook-mode <mode>', 'how they are sent').choices(['batch']).default('batch'))
    .addOption(new Option('--audit-webhook-version <version>', 'what they look like').choices(['audit.k8s.io/v1']).default('audit.k8s.io/v1'))
    .option('--audit-webhook-batch-buffer-size <count>', 'events that may wait; more are dropped', count, 10_000)
    .option('--audit-webhook-batch-max-size <count>', 'events sent together', count, 400)
    .option('--audit-webhook-batch-max-wait <duration>', 'how long an event may wait for others', duration, 30_000)
    .option('--audit-webhook-initial-backoff <duration>', 'how long to wait before a batch is sent again', duration, 10_000)
    .option('--encryption-provider-config <file>', 'which resources are stored encrypted, and with which keys')
    .option('--encryption-provider-config-automatic-reload [boolean]', 'it is read again when it changes', truth, false)
    .option('--max-requests-inflight <count>', 'reading requests worked on at a time', count, 400)
    .option('--max-mutating-requests-inflight <count>', 'writing requests worked on at a time', count, 200)
    .addOption(new Option('--enable-priority-and-fairness [boolean]', 'share the server by flow schemas').argParser(truth).default(true));
}

/** Upstream still knows v1beta1 here, and has it as the default; nothing that lives speaks it alone. */
function webhookVersion(flags: string): Option {
  return new Option(flags, 'what the server is asked in').choices(['v1']).default('v1');
}

function pairs(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const equals = text.indexOf('=');
  return { ...before, [text.slice(0, equals < 0 ? text.length : equals)]: equals < 0 ? '' : text.slice(equals + 1) };
}
