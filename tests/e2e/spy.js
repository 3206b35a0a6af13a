// Put into each page before its own scripts: publishes what the page holds as attributes of <html>, and every
// state it goes through with its time. Observes only.
(() => {
  const tracks = [];
  const channels = [];
  const connections = [];
  const contexts = [];
  const sockets = [];
  const states = [];
  let asked = 0;
  Object.assign(globalThis, { spiedTracks: tracks, spiedChannels: channels, spiedSockets: sockets, spiedConnections: connections });

  const { mediaDevices } = navigator;
  if (mediaDevices) {
    const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (constraints) => {
      asked += 1;
      const stream = await getUserMedia(constraints);
      tracks.push(...stream.getTracks());
      return stream;
    };
  }
  const keeping = (Kind, list) =>
    class extends Kind {
      constructor(...given) {
        super(...given);
        list.push(this);
      }
    };
  globalThis.RTCPeerConnection = class extends keeping(RTCPeerConnection, connections) {
    createDataChannel(...given) {
      const channel = super.createDataChannel(...given);
      channels.push(channel);
      return channel;
    }
  };
  globalThis.AudioContext = keeping(AudioContext, contexts);
  globalThis.WebSocket = keeping(WebSocket, sockets);

  const liveTracks = () => tracks.filter((track) => track.readyState === 'live');
  const publish = () => {
    const { dataset } = document.documentElement;
    dataset.asked = String(asked);
    dataset.liveTracks = String(liveTracks().length);
    dataset.enabledTracks = String(liveTracks().filter((track) => track.enabled).length);
    dataset.openConnections = String(connections.filter((connection) => connection.connectionState !== 'closed').length);
    dataset.openContexts = String(contexts.filter((context) => context.state !== 'closed').length);
    dataset.players = String(document.querySelectorAll('audio').length);
  };
  const noteState = () => {
    const { state } = document.body.dataset;
    if (state && states.at(-1)?.state !== state) states.push({ state, atMs: Math.round(performance.now()) });
    document.documentElement.dataset.states = JSON.stringify(states);
  };
  const noteLevel = () => {
    const { dataset } = document.documentElement;
    if (Number(document.body.dataset.inputLevel) > Number(dataset.loudestInput ?? 0)) dataset.loudestInput = document.body.dataset.inputLevel;
  };
  addEventListener('DOMContentLoaded', () => {
    new MutationObserver(noteLevel).observe(document.body, { attributeFilter: ['data-input-level'] });
    new MutationObserver(noteState).observe(document.body, { attributeFilter: ['data-state'] });
    noteState();
    setInterval(publish, 50);
  });
  // The last that a page does: how many tracks were left when it went away.
  addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') sessionStorage.setItem('tracksLeft', String(liveTracks().length));
  });
})();
