"""Journeys with the official Python client; the first argument names one. Each has a namespace of its own and fails by an assertion."""
import json
import os
import sys
import tempfile
import time

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException

config.load_kube_config()
api = client.ApiClient()
core = client.CoreV1Api()
apps = client.AppsV1Api()


def eventually(what, ask, patience=60):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if ask():
            return
        time.sleep(0.1)
    raise AssertionError(f'{what}: it never was so')


def code_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ApiException as error:
        return error.status
    return 200


def config_map(name, data, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def typed(namespace):
    version = client.VersionApi().get_code()
    assert (version.major, version.minor) == ('1', '36'), version
    made = core.create_namespaced_config_map(namespace, config_map('one', {'a': '1'}, {'suite': 'python'}))
    assert made.metadata.creation_timestamp.tzinfo is not None
    read = core.read_namespaced_config_map('one', namespace)
    assert read == made
    patched = core.patch_namespaced_config_map('one', namespace, {'data': {'b': '2'}})
    assert patched.data == {'a': '1', 'b': '2'}, patched.data
    patched = core.patch_namespaced_config_map('one', namespace, [{'op': 'remove', 'path': '/data/a'}])
    assert patched.data == {'b': '2'}, patched.data
    patched.data = {'c': '3'}
    replaced = core.replace_namespaced_config_map('one', namespace, patched)
    assert replaced.data == {'c': '3'}
    assert int(replaced.metadata.resource_version) > int(made.metadata.resource_version)
    for number in range(5):
        core.create_namespaced_secret(namespace, client.V1Secret(metadata=client.V1ObjectMeta(name=f'page-{number}'), string_data={'n': str(number)}))
    names, token = [], None
    while token != '':
        page = core.list_namespaced_secret(namespace, limit=2, _continue=token)
        assert len(page.items) <= 2
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ''
    assert names == [f'page-{number}' for number in range(5)], names
    dry = core.create_namespaced_config_map(namespace, config_map('dry', {}), dry_run='All')
    assert dry.metadata.uid and code_of(core.read_namespaced_config_map, 'dry', namespace) == 404
    status = core.delete_namespaced_config_map('one', namespace)
    assert status.status == 'Success'
    core.delete_collection_namespaced_secret(namespace)
    assert core.list_namespaced_secret(namespace).items == []


def errors(namespace):
    for expected, reason, call in (
        (404, 'NotFound', lambda: core.read_namespaced_pod('nothing', namespace)),
        (422, 'Invalid', lambda: core.create_namespaced_config_map(namespace, config_map('No_Name', {}))),
        (409, 'AlreadyExists', lambda: [core.create_namespaced_config_map(namespace, config_map('twice', {})) for _ in range(2)]),
        (400, 'BadRequest', lambda: core.list_namespaced_pod(namespace, label_selector='!!')),
        (410, 'Expired', lambda: core.list_namespaced_pod(namespace, limit=1, _continue='bm90IG9uZQ')),
    ):
        try:
            call()
        except ApiException as error:
            if expected == 410:  # a made-up token is refused as bad, an outlived one as expired
                assert error.status in (400, 410), error
                continue
            status = json.loads(error.body)
            assert (error.status, status['reason'], status['kind']) == (expected, reason, 'Status'), error
        else:
            raise AssertionError(f'{reason}: it succeeded')


def pods_of(namespace, name):
    return core.list_namespaced_pod(namespace, label_selector=f'app={name}').items


def deployment(name, replicas):
    pod = client.V1PodSpec(termination_grace_period_seconds=0, containers=[client.V1Container(name='a', image='registry.example/a:1')])
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={'app': name}), spec=pod)
    spec = client.V1DeploymentSpec(replicas=replicas, selector=client.V1LabelSelector(match_labels={'app': name}), template=template)
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def workloads(namespace):
    apps.create_namespaced_deployment(namespace, deployment('web', 1))
    eventually('it is ready', lambda: apps.read_namespaced_deployment_status('web', namespace).status.ready_replicas == 1)
    scale = apps.read_namespaced_deployment_scale('web', namespace)
    assert scale.spec.replicas == 1 and scale.status.selector == 'app=web'
    apps.patch_namespaced_deployment_scale('web', namespace, {'spec': {'replicas': 2}})
    eventually('another pod comes', lambda: len(pods_of(namespace, 'web')) == 2)
    pod = pods_of(namespace, 'web')[0]
    assert core.read_namespaced_pod_status(pod.metadata.name, namespace).metadata.uid == pod.metadata.uid
    eventually('events tell of it', lambda: core.list_namespaced_event(namespace, field_selector=f'involvedObject.name={pod.metadata.name}').items)
    apps.delete_namespaced_deployment('web', namespace, propagation_policy='Foreground')
    eventually('all of it goes', lambda: not pods_of(namespace, 'web') and code_of(apps.read_namespaced_deployment, 'web', namespace) == 404)


def watched(namespace):
    since = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map('seen', {'a': '1'}, {'suite': 'python'}))
    core.patch_namespaced_config_map('seen', namespace, {'data': {'a': '2'}})
    core.patch_namespaced_config_map('seen', namespace, {'metadata': {'labels': {'suite': 'other'}}})
    core.delete_namespaced_config_map('seen', namespace)
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(core.list_namespaced_config_map, namespace, resource_version=since, label_selector='suite=python', timeout_seconds=30):
        seen.append((event['type'], event['object'].data['a']))
        if event['type'] == 'DELETED':
            watcher.stop()
    assert seen == [('ADDED', '1'), ('MODIFIED', '2'), ('DELETED', '2')], seen
    quiet = list(watch.Watch().stream(core.list_namespaced_config_map, namespace, label_selector='suite=nobody', timeout_seconds=1))
    assert quiet == [], quiet


def from_the_future(namespace):
    try:
        for event in watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version='999999999', timeout_seconds=2):
            raise AssertionError(f'nothing can have happened yet: {event}')
    except ApiException as error:
        # A version from the future: upstream answers 504 once it has waited for it.
        assert error.status in (410, 504), error


def dynamic_client(namespace):
    any_kind = dynamic.DynamicClient(api)
    maps = any_kind.resources.get(api_version='v1', kind='ConfigMap')
    assert (maps.name, maps.namespaced) == ('configmaps', True)
    body = {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'any'}, 'data': {'a': '1'}}
    since = maps.get(namespace=namespace).metadata.resourceVersion
    assert maps.create(body=body, namespace=namespace).data.a == '1'
    applied = any_kind.request(
        'patch',
        f'/api/v1/namespaces/{namespace}/configmaps/applied?fieldManager=python',
        body=json.dumps({**body, 'metadata': {'name': 'applied'}}),
        content_type='application/apply-patch+yaml',
    )
    assert applied.metadata.managedFields[0].manager == 'python', applied
    assert maps.patch(body={'data': {'a': '2'}}, name='any', namespace=namespace, content_type='application/merge-patch+json').data.a == '2'
    maps.delete(name='any', namespace=namespace)
    seen = []
    for event in maps.watch(namespace=namespace, resource_version=since, field_selector='metadata.name=any', timeout=30):
        seen.append(event['type'])
        if event['type'] == 'DELETED':
            break
    assert seen == ['ADDED', 'MODIFIED', 'DELETED'], seen
    services = any_kind.resources.search(kind='Service', api_version='v1')
    assert [service.name for service in services] == ['services'], services
    roles = any_kind.resources.get(api_version='rbac.authorization.k8s.io/v1', kind='ClusterRole')
    assert roles.get(name='cluster-admin').rules[0].verbs == ['*']


def custom_resources(namespace):
    group, plural = f'{namespace}.example.com', 'crontabs'
    schema = {'type': 'object', 'properties': {'spec': {'type': 'object', 'properties': {'schedule': {'type': 'string', 'pattern': '^[0-9* ]+$'}, 'replicas': {'type': 'integer', 'default': 1}}}}}
    definition = {
        'apiVersion': 'apiextensions.k8s.io/v1',
        'kind': 'CustomResourceDefinition',
        'metadata': {'name': f'{plural}.{group}'},
        'spec': {
            'group': group,
            'scope': 'Namespaced',
            'names': {'plural': plural, 'singular': 'crontab', 'kind': 'CronTab'},
            'versions': [{'name': 'v1', 'served': True, 'storage': True, 'schema': {'openAPIV3Schema': schema}, 'subresources': {'status': {}}}],
        },
    }
    extensions, custom = client.ApiextensionsV1Api(), client.CustomObjectsApi()
    extensions.create_custom_resource_definition(definition)

    def established():
        conditions = extensions.read_custom_resource_definition(f'{plural}.{group}').status.conditions or []
        return any(condition.type == 'Established' and condition.status == 'True' for condition in conditions)

    eventually('it is established', established)
    body = {'apiVersion': f'{group}/v1', 'kind': 'CronTab', 'metadata': {'name': 'daily'}, 'spec': {'schedule': '0 0 * * *'}}
    eventually('it is served', lambda: code_of(custom.list_namespaced_custom_object, group, 'v1', namespace, plural) == 200)
    made = custom.create_namespaced_custom_object(group, 'v1', namespace, plural, body)
    assert made['spec']['replicas'] == 1
    assert code_of(custom.create_namespaced_custom_object, group, 'v1', namespace, plural, {**body, 'metadata': {'name': 'bad'}, 'spec': {'schedule': 'never'}}) == 422
    patched = custom.patch_namespaced_custom_object(group, 'v1', namespace, plural, 'daily', {'spec': {'replicas': 2}})
    assert patched['spec'] == {'schedule': '0 0 * * *', 'replicas': 2}
    status = custom.patch_namespaced_custom_object_status(group, 'v1', namespace, plural, 'daily', {'status': {'dropped': True}})
    assert 'dropped' not in status.get('status', {}), status
    watcher = watch.Watch()
    for event in watcher.stream(custom.list_namespaced_custom_object, group, 'v1', namespace, plural, timeout_seconds=30):
        assert (event['type'], event['object']['metadata']['name']) == ('ADDED', 'daily')
        watcher.stop()
    kinds = dynamic.DynamicClient(api).resources.get(api_version=f'{group}/v1', kind='CronTab')
    assert kinds.get(name='daily', namespace=namespace).spec.replicas == 2
    custom.delete_namespaced_custom_object(group, 'v1', namespace, plural, 'daily')
    extensions.delete_custom_resource_definition(f'{plural}.{group}')
    eventually('it is served no more', lambda: code_of(custom.list_namespaced_custom_object, group, 'v1', namespace, plural) == 404)


def from_yaml(namespace):
    text = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: filed, namespace: {namespace}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: filed}}}}
  template:
    metadata: {{labels: {{app: filed}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: a, image: registry.example/a:1}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: filed, namespace: {namespace}}}
spec: {{selector: {{app: filed}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: List
items:
  - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: filed, namespace: {namespace}}}, data: {{a: "1"}}}}
  - {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: filed, namespace: {namespace}}}, spec: {{podSelector: {{}}}}}}
"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'all.yaml')
        with open(path, 'w', encoding='utf8') as file:
            file.write(text)
        utils.create_from_yaml(api, path)
        eventually('it is ready', lambda: apps.read_namespaced_deployment('filed', namespace).status.ready_replicas == 1)
        assert core.read_namespaced_service('filed', namespace).spec.cluster_ip
        assert core.read_namespaced_config_map('filed', namespace).data == {'a': '1'}
        try:
            utils.create_from_yaml(api, path)
        except utils.FailToCreateError as error:
            assert [one.status for one in error.api_exceptions] == [409] * 4, error
        else:
            raise AssertionError('all of it is there already')


def as_service_account(namespace):
    core.create_namespaced_service_account(namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name='robot')))
    rbac = client.RbacAuthorizationV1Api()
    rbac.create_namespaced_role(namespace, client.V1Role(metadata=client.V1ObjectMeta(name='reader'), rules=[client.V1PolicyRule(api_groups=[''], resources=['pods'], verbs=['list'])]))
    reference = {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': 'reader'}
    rbac.create_namespaced_role_binding(namespace, {'metadata': {'name': 'reader'}, 'roleRef': reference, 'subjects': [{'kind': 'ServiceAccount', 'name': 'robot', 'namespace': namespace}]})
    answer = api.call_api(
        f'/api/v1/namespaces/{namespace}/serviceaccounts/robot/token',
        'POST',
        body={'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest', 'spec': {'expirationSeconds': 600}},
        auth_settings=['BearerToken'],
        response_type='object',
        _return_http_data_only=True,
    )
    settings = client.Configuration.get_default_copy()
    settings.cert_file = settings.key_file = None
    settings.api_key = {'authorization': f"Bearer {answer['status']['token']}"}
    robot = client.CoreV1Api(client.ApiClient(settings))
    eventually('it may list pods', lambda: code_of(robot.list_namespaced_pod, namespace) == 200)
    assert code_of(robot.list_namespaced_secret, namespace) == 403
    assert code_of(robot.list_node) == 403
    review = client.AuthorizationV1Api(client.ApiClient(settings)).create_self_subject_access_review(
        {'spec': {'resourceAttributes': {'namespace': namespace, 'verb': 'list', 'resource': 'pods'}}}
    )
    assert review.status.allowed is True


def main():
    journey = sys.argv[1]
    namespace = f"python-{journey.replace('_', '-')}"
    core.create_namespace({'metadata': {'name': namespace}})
    globals()[journey](namespace)
    core.delete_namespace(namespace)
    print(f'{journey} done')


main()
