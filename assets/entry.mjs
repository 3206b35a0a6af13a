// What the voice page needs of the SDK: its transports. Sessions, agents, tools and guardrails run on the server.
import './no_eval.mjs';

export { OpenAIRealtimeWebRTC, OpenAIRealtimeWebSocket } from '@openai/agents-realtime';
