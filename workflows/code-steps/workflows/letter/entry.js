import { greeting } from "./greeting.js";

export default defineComponent({
  props: {
    id: { type: "integer" },
    total: { type: "string" },
    name: { type: "string", default: "customer" },
  },
  methods: {
    text() {
      return `${greeting(this.name)} your order ${this.id} comes to ${this.total}.`;
    },
  },
  async run({ steps, $ }) {
    console.log(`order ${steps.trigger.event.id}`);
    $.export("$summary", `Wrote to ${this.name}`);
    return this.text();
  },
});
