/**
 * A TCP proxy on loopback that a test makes bad: it stands between a program and a server, one proxy for each program.
 *
 * Invariant: what one side does (bytes, an end, a break) reaches the other only through `passage`, so that a link that stands still is silent:
 * neither side learns of anything until it finds out by itself.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";

/** `up`: from the program to the server. */
export type Direction = "up" | "down";

export type Slowness = {
  /** Before each piece is handed on. */
  readonly delayMs?: number;
  readonly bytesPerSecond?: number;
};

/** Between the passage and the other side: hands on what it is given, as it likes. */
export type Stage = { take(piece: Buffer): void; close(): void };

export type TcpProxyOptions = {
  readonly port: number;
  /** Made for each connection and direction; absent: everything is handed on as it is. */
  readonly stage?: (connection: number, direction: Direction, write: (bytes: Buffer) => void) => Stage;
};

export type TcpProxy = {
  readonly port: number;
  /** Everything goes through, what was held too. */
  pass(): void;
  /** Breaks every connection (RST); new ones go through. */
  cut(): void;
  /** Breaks every connection, new ones too, until `pass`. */
  refuse(): void;
  /** A partition: nothing goes through in these directions, on old and new connections, until `pass`. Nothing is closed. */
  hold(...directions: readonly Direction[]): void;
  /** Half-open: the connections of now are silent for ever in these directions; new ones go through. */
  abandon(...directions: readonly Direction[]): void;
  /** Until `pass`. */
  slow(slowness: Slowness): void;
  connections(): number;
  stop(): Promise<void>;
};

type Link = { readonly number: number; readonly sockets: readonly [Socket, Socket]; readonly abandoned: Set<Direction> };

/** Starts one before a server on loopback. */
export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = new Proxying(options);
  proxy.server.listen(0, "127.0.0.1");
  await once(proxy.server, "listening");
  const { port } = proxy.server.address() as AddressInfo;
  return {
    port,
    pass: () => proxy.pass(),
    cut: () => proxy.breakAll(),
    refuse() {
      proxy.refusing = true;
      proxy.breakAll();
    },
    hold(...directions) {
      for (const direction of directions) proxy.held.add(direction);
    },
    abandon(...directions) {
      for (const { abandoned } of proxy.links) for (const direction of directions) abandoned.add(direction);
    },
    slow: (slowness) => void (proxy.slowness = slowness),
    connections: () => proxy.links.size,
    async stop() {
      proxy.breakAll();
      proxy.server.close();
      await once(proxy.server, "close");
    },
  };
}

class Proxying {
  readonly links = new Set<Link>();
  readonly held = new Set<Direction>();
  readonly server: Server;
  slowness: Slowness = {};
  refusing = false;
  private readonly options: TcpProxyOptions;
  private opened = Promise.withResolvers<undefined>();
  private count = 0;

  constructor(options: TcpProxyOptions) {
    this.options = options;
    this.server = createServer({ allowHalfOpen: true }, (program) => this.accept(program));
  }

  pass(): void {
    this.refusing = false;
    this.slowness = {};
    this.held.clear();
    this.opened.resolve(undefined);
    this.opened = Promise.withResolvers();
  }

  breakAll(): void {
    for (const link of this.links) this.break(link);
  }

  private accept(program: Socket): void {
    program.on("error", () => undefined);
    if (this.refusing) {
      program.resetAndDestroy();
      return;
    }
    const server = connect({ port: this.options.port, host: "127.0.0.1", allowHalfOpen: true });
    server.on("error", () => undefined);
    const link: Link = { number: (this.count += 1), sockets: [program, server], abandoned: new Set() };
    this.links.add(link);
    for (const socket of link.sockets) socket.setNoDelay(true);
    void this.pump(link, { direction: "up", from: program, to: server });
    void this.pump(link, { direction: "down", from: server, to: program });
  }

  private break(link: Link): void {
    this.links.delete(link);
    for (const socket of link.sockets) socket.resetAndDestroy();
  }

  private async pump(link: Link, way: { readonly direction: Direction; readonly from: Socket; readonly to: Socket }): Promise<void> {
    const { direction, from, to } = way;
    const write = (bytes: Buffer): void => {
      if (!to.destroyed) to.write(bytes);
    };
    const stage = this.options.stage?.(link.number, direction, write) ?? { take: write, close: () => undefined };
    try {
      for await (const piece of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.passage(link, direction, piece.length);
        stage.take(piece);
        if (to.writableNeedDrain && !to.destroyed) await Promise.race([once(to, "drain"), once(to, "close")]);
      }
      await this.passage(link, direction, 0);
      to.end();
    } catch {
      await this.passage(link, direction, 0);
      this.break(link);
    } finally {
      stage.close();
    }
  }

  private async passage(link: Link, direction: Direction, bytes: number): Promise<void> {
    const { delayMs = 0, bytesPerSecond = Infinity } = this.slowness;
    const slowMs = delayMs + (1000 * bytes) / bytesPerSecond;
    if (slowMs > 0) await wait(slowMs);
    while (this.held.has(direction)) await this.opened.promise;
    if (link.abandoned.has(direction)) await new Promise(() => undefined);
  }
}
