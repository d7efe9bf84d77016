/** MariaDB, PostgreSQL and Redis out of Debian's packages, started as the images of the same name on Docker Hub: empty data directories are filled at the first start. */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, imageCache, linkApplets, unpack } from './debian-image.ts';

export const mariadbImageName = 'docker.io/library/mariadb:10.11';
export const postgresImageName = 'docker.io/library/postgres:15';
export const redisImageName = 'docker.io/library/redis:7.0';

const Env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];

export function buildMariadbImage(directory = imageCache): Promise<string> {
  const fill = async (root: string): Promise<object> => {
    await unpack(directory, root, ['mariadb-server-core', 'mariadb-server', 'mariadb-client-core', 'mariadb-common', 'bash', 'busybox-static']);
    await prepare(root, 'mysql:x:999:999::/var/lib/mysql:/bin/false\n', 'mysql:x:999:\n');
    for (const path of ['var/lib/mysql', 'run/mysqld']) await mkdir(join(root, path), { recursive: true });
    await writeProgram(join(root, 'usr/local/bin/docker-entrypoint.sh'), mariadbEntrypoint);
    return { Entrypoint: ['docker-entrypoint.sh'], Cmd: ['mariadbd'], Env, ExposedPorts: { '3306/tcp': {} } };
  };
  return cached(directory, 'mariadb', [mariadbImageName], fill, import.meta.filename);
}

export function buildPostgresImage(directory = imageCache): Promise<string> {
  const fill = async (root: string): Promise<object> => {
    // The compiler for queries is a hundred megabytes that the server only loads for large ones.
    await unpack(directory, root, ['postgresql-15', 'postgresql-client-15', 'tzdata', 'bash', 'busybox-static'], ['libllvm14']);
    await rm(join(root, 'usr/lib/postgresql/15/lib/bitcode'), { recursive: true, force: true });
    await prepare(root, 'postgres:x:999:999::/var/lib/postgresql:/bin/bash\n', 'postgres:x:999:\n');
    await mkdir(join(root, 'var/lib/postgresql/data'), { recursive: true });
    await writeProgram(join(root, 'usr/local/bin/docker-entrypoint.sh'), postgresEntrypoint);
    const postgresEnv = [`${Env[0]}:/usr/lib/postgresql/15/bin`, 'PGDATA=/var/lib/postgresql/data'];
    return { Entrypoint: ['docker-entrypoint.sh'], Cmd: ['postgres'], Env: postgresEnv, StopSignal: 'SIGINT', ExposedPorts: { '5432/tcp': {} } };
  };
  return cached(directory, 'postgres', [postgresImageName], fill, import.meta.filename);
}

export function buildRedisImage(directory = imageCache): Promise<string> {
  const fill = async (root: string): Promise<object> => {
    await unpack(directory, root, ['redis-server', 'redis-tools', 'lua-cjson', 'lua-bitop', 'bash', 'busybox-static']);
    await prepare(root, 'redis:x:999:999::/data:/bin/false\n', 'redis:x:999:\n');
    await mkdir(join(root, 'data'), { recursive: true });
    return { Cmd: ['redis-server', '--protected-mode', 'no'], Env, WorkingDir: '/data', ExposedPorts: { '6379/tcp': {} } };
  };
  return cached(directory, 'redis', [redisImageName], fill, import.meta.filename);
}

async function prepare(root: string, user: string, group: string): Promise<void> {
  await linkApplets(root, join(root, 'bin/busybox'));
  for (const path of ['etc', 'root', 'var', 'tmp']) await mkdir(join(root, path), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await writeFile(join(root, 'etc/passwd'), `root:x:0:0:root:/root:/bin/bash\n${user}`);
  await writeFile(join(root, 'etc/group'), `root:x:0:\n${group}`);
}

async function writeProgram(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, text);
  await chmod(path, 0o755);
}

const mariadbEntrypoint = `#!/bin/bash
set -e
data=/var/lib/mysql
options="--no-defaults --datadir=$data --socket=/tmp/mysqld.sock --pid-file=/tmp/mysqld.pid --innodb-buffer-pool-size=16M --innodb-log-file-size=8M"
if [ "$(id -u)" = 0 ]; then options="$options --user=root"; fi
if [ "$1" != mariadbd ]; then exec "$@"; fi
if [ ! -e $data/initialized ]; then
  rm -rf $data/*
  mariadb-install-db $options --auth-root-authentication-method=normal --skip-test-db
  mariadbd $options --bootstrap <<SQL
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE USER 'root'@'%' IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS \\\`\${MARIADB_DATABASE:-app}\\\`;
SQL
  touch $data/initialized
fi
exec mariadbd $options --bind-address=0.0.0.0
`;

const postgresEntrypoint = `#!/bin/bash
set -e
if [ "$1" != postgres ]; then exec "$@"; fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --no-locale --encoding=UTF8 --username=postgres --auth-host=scram-sha-256 --pwfile=<(printf '%s\\n' "$POSTGRES_PASSWORD")
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/tmp -c jit=off -c shared_buffers=16MB
`;
